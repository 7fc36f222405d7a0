"""kill -9 of any process at random moments of machine operations: what was acknowledged holds, no
VM is lost or doubled, nothing leaks. PERIGEE_STORM_POINTS and PERIGEE_STORM_SEED choose another
length and another course (`./dev soak`)."""

import os
import time

import images
from scenario import Scenario
from storm import POINTS_PER_CHECK, Storm

POINTS = int(os.environ.get('PERIGEE_STORM_POINTS', '30'))
SEED = int(os.environ.get('PERIGEE_STORM_SEED', '1'))
APP = ['/bin/busybox', 'httpd', '-f', '-p', '8080', '-h', '/']


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
        storm.settle()
        began = time.monotonic()
        for number in range(POINTS):
            storm.point()
            if (number + 1) % POINTS_PER_CHECK == 0:
                storm.settle()
        storm.settle()
        print(f'     {len(storm.destroyed)} machines destroyed, {len(storm.machines)} left, '
              f'{time.monotonic() - began:.0f} s', flush=True)
        self.node.down()
        self.nothing_left()
