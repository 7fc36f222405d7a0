"""What a person does wrong is told with the thing, the cause and the next step, and at once."""

import time

import images
from scenario import Scenario

AT_ONCE_S = 60  # well under the deploy's own bound: a build and a boot are in it


class BadInputTest(Scenario):
    node_config = '[control]\nlisten_timeout = "20s"\nwrong_port_timeout = "5s"\n'

    def failed_deploy(self, folder, *words):
        start = time.monotonic()
        done = self.node.deploy(folder, *words, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertLess(time.monotonic() - start, AT_ONCE_S)
        return done.stdout + done.stderr

    def scenario_an_app_that_exits_fails_its_deploy_with_exit_code_and_last_lines(self):
        command = ['/bin/busybox', 'sh', '-c', 'echo the database is not configured; exit 7']
        said = self.failed_deploy(images.scratch_folder(self.folder / 'exits', 'exits', command))
        self.assertRegex(said, r'exit(ed with)?( code)? 7')
        self.assertIn('the database is not configured', said)

    def scenario_a_failed_deploy_leaves_the_old_release_serving(self):
        good = images.nginx_folder(self.folder / 'kept', 'old page\n', 'kept')
        self.node.deploy(good)
        self.page_is('kept', 'old page')
        bad = images.scratch_folder(self.folder / 'kept-bad', 'kept',
                                    ['/bin/busybox', 'sh', '-c', 'exit 3'])
        self.failed_deploy(bad)
        self.page_is('kept', 'old page')
        self.assertEqual(self.node.machine('kept')['state'], 'started')

    def scenario_a_wrong_port_fails_the_deploy_naming_it(self):
        folder = images.nginx_folder(self.folder / 'port', 'page\n', 'port')
        config = folder / 'perigee.toml'
        config.write_text(config.read_text().replace('8080', '3000'))
        self.assertIn('nothing is listening on port 3000; the app listens on 0.0.0.0:8080 '
                      '(bind 0.0.0.0:3000, or set internal_port = 8080)',
                      self.failed_deploy(folder))

    def scenario_a_check_that_never_passes_fails_the_deploy_with_its_output(self):
        good = images.nginx_folder(self.folder / 'sick', 'old page\n', 'sick')
        self.node.deploy(good)
        config = good / 'perigee.toml'
        config.write_text(config.read_text() + '[[http_service.checks]]\ninterval = "1s"\n'
                          'timeout = "5s"\npath = "/healthy"\n')
        (good / 'index.html').write_text('new page\n')
        said = self.failed_deploy(good)
        self.assertIn('servicecheck-00-http-8080', said)
        self.assertIn('404', said)
        self.page_is('sick', 'old page')
        self.assertEqual(self.node.machine('sick')['state'], 'started')

    def scenario_a_command_that_is_not_in_the_image_is_named(self):
        folder = images.scratch_folder(self.folder / 'nocmd', 'nocmd', ['/bin/nosuchprogram'])
        self.assertIn('/bin/nosuchprogram', self.failed_deploy(folder))

    def scenario_a_config_error_names_file_and_line(self):
        folder = images.scratch_folder(self.folder / 'toml', 'toml', ['/bin/busybox'])
        config = folder / 'perigee.toml'
        config.write_text('app = "toml"\n[http_service]\ninternal_port = "many"\n')
        self.assertRegex(self.failed_deploy(folder), r'perigee\.toml:3\b')
        config.write_text('app = "toml"\n[http_service\n')
        self.assertRegex(self.failed_deploy(folder), r'perigee\.toml:2\b')

    def scenario_a_key_of_a_feature_to_come_is_refused_and_an_unknown_one_warns(self):
        folder = images.nginx_folder(self.folder / 'keys', 'page\n', 'keys')
        config = folder / 'perigee.toml'
        text = config.read_text()
        config.write_text(text + '\n[[statics]]\nguest_path = "/www"\n')
        said = self.failed_deploy(folder)
        self.assertIn('statics', said)
        self.assertIn('not yet supported', said)
        config.write_text('flavour = "sweet"\n' + text)
        done = self.node.deploy(folder)
        self.assertIn('flavour', done.stdout + done.stderr)

    def scenario_an_image_that_is_not_there_is_named(self):
        folder = images.scratch_folder(self.folder / 'noimage', 'noimage', ['/bin/busybox'])
        registry = images.Registry()
        self.addCleanup(registry.close)
        said = self.failed_deploy(folder, '--image', f'127.0.0.1:{registry.port}/missing:v1')
        self.assertIn('missing', said)
        said = self.failed_deploy(folder, '--image', self.folder / 'nothing.tar')
        self.assertIn('nothing.tar', said)

    def scenario_a_dockerfile_that_does_not_build_shows_its_error(self):
        folder = images.scratch_folder(self.folder / 'nobuild', 'nobuild', ['/bin/busybox'])
        (folder / 'Dockerfile').write_text('FROM scratch\nCOPY nosuchfile /\n')
        self.assertIn('nosuchfile', self.failed_deploy(folder))
