"""What the pages under docs/ tell people to do: their fenced blocks, by the heading above them."""

import re

from perigee_node import REPOSITORY

FENCE = '```'
# The words of a command in running text, up to its first argument: `perigee nodes show NODE`.
INLINE = re.compile(r'`perigee((?: [a-z][a-z-]*)+)[^`]*`')


class Page:
    def __init__(self, path):
        self.path = path
        self.text = (REPOSITORY / 'docs' / path).read_text()
        self.blocks = {}  # (heading, language) → texts
        self.taken = set()
        heading = language = None
        for line in self.text.splitlines(keepends=True):
            if line.startswith(FENCE):
                if language is None:
                    language = line[len(FENCE):].strip()
                    self.blocks.setdefault((heading, language), []).append('')
                else:
                    language = None
            elif language is not None:
                self.blocks[heading, language][-1] += line
            elif line.startswith('#'):
                heading = line.strip('# \n')

    def block(self, heading, number=0, language='sh'):
        """The text of a section's block of that language."""
        texts = self.blocks.get((heading, language), [])
        assert number < len(texts), (f'docs/{self.path} has no block {number} of {language} under '
                                     f'"{heading}": it has {sorted(map(str, self.blocks))}')
        self.taken.add((heading, language, number))
        return texts[number]

    def untaken(self, language='sh'):
        """(page, heading, number) of the blocks that nobody has asked for."""
        return {(self.path, heading, number)
                for (heading, kind), texts in self.blocks.items() if kind == language
                for number in range(len(texts)) if (heading, kind, number) not in self.taken}

    def inline_commands(self):
        """Of `perigee`, named in running text: the first two of their words."""
        prose = re.sub(f'^{FENCE}.*?^{FENCE}', '', self.text, flags=re.S | re.M)
        return {' '.join(match[1].split()[:2])
                for match in INLINE.finditer(prose.replace('\n', ' '))}
