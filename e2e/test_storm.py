"""kill -9 of any process at random moments of machine operations: what was acknowledged holds, no
VM or volume is lost or doubled, nothing leaks. PERIGEE_STORM_POINTS and PERIGEE_STORM_SEED choose
another length and another course (`./dev soak`)."""

import os
import time

import images
from scenario import Scenario
from storm import POINTS_PER_CHECK, PORT, VOLUME_FILE, Storm

POINTS = int(os.environ.get('PERIGEE_STORM_POINTS', '30'))
SEED = int(os.environ.get('PERIGEE_STORM_SEED', '1'))
APP = ['/bin/busybox', 'sh', '-c',
       f'mkdir -p /data; echo boot >>{VOLUME_FILE}; /bin/busybox sync; '
       f'exec /bin/busybox httpd -f -p {PORT} -h /']


class StormTest(Scenario):
    def scenario_killed_at_random_nothing_acknowledged_is_lost(self):
        print(f'     seed {SEED}, {POINTS} points', flush=True)
        self.node.deploy(images.scratch_folder(self.folder / 'storm', 'storm', APP, memory=128))
        config = self.node.machine('storm')['config']
        # A killed VMM counts as a failure of its app: the storm must not use up its restarts.
        config['restart'] = {'policy': 'always', 'max_retries': 1000}
        first = self.node.machine('storm')['id']
        self.node.api('DELETE', f'/v1/apps/storm/machines/{first}?force=true')
        storm = Storm(self.node, 'storm', config, SEED)
        storm.make_volumes()
        storm.settle()
        began = time.monotonic()
        for number in range(POINTS):
            storm.point()
            if (number + 1) % POINTS_PER_CHECK == 0:
                storm.settle()
        storm.settle()
        boots = sum(storm.lines.values())
        self.assertGreater(boots, 0, 'no machine with a volume was ever looked at')
        print(f'     {len(storm.destroyed)} machines destroyed, {len(storm.machines)} left, '
              f'{boots} boots with a volume, '
              f'{time.monotonic() - began:.0f} s', flush=True)
        self.node.down()
        self.nothing_left()
