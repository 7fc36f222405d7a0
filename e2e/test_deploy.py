"""nginx of Debian packages, deployed from each source, answers through the router."""

import json

import images
from load import Load
from scenario import Scenario
from perigee_node import wait_until


class DeployTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.built = images.nginx_folder(cls.folder / 'one', 'page one\n')
        cls.archive = images.build_archive(cls.built, cls.folder / 'nginx.tar')

    def app_folder(self, app, page='page one\n'):
        return images.nginx_folder(self.folder / app, page, app)

    def scenario_nginx_from_a_registry_answers_over_http_and_https(self):
        registry = images.Registry()
        self.addCleanup(registry.close)
        reference = registry.push(self.archive, 'nginx:e2e')
        self.node.deploy(self.app_folder('fromregistry'), '--image', reference)
        self.page_is('fromregistry', 'page one')
        self.page_is('fromregistry', 'page one', https=True)

    def scenario_nginx_from_an_archive_answers_over_http_and_https(self):
        self.node.deploy(self.app_folder('fromarchive'), '--image', self.archive)
        self.page_is('fromarchive', 'page one')
        self.page_is('fromarchive', 'page one', https=True)

    def scenario_nginx_from_a_dockerfile_answers_over_http_and_https(self):
        self.node.deploy(self.app_folder('fromdockerfile', 'page two\n'))
        self.page_is('fromdockerfile', 'page two')
        self.page_is('fromdockerfile', 'page two', https=True)
        self.page_is('fromdockerfile', 'built by RUN', path='/built')

    def scenario_a_new_deploy_replaces_the_page_and_no_request_fails(self):
        folder = self.app_folder('twice', 'first page\n')
        self.node.deploy(folder)
        self.page_is('twice', 'first page')
        before = self.node.machine('twice')
        (folder / 'index.html').write_text('second page\n')
        with Load(lambda: self.node.get('twice')) as load:
            self.node.deploy(folder)
            self.page_is('twice', 'second page')
        self.assertEqual(load.failed(), [], load.describe())
        self.assertGreater(len(load.samples), 50)
        wait_until('the old machine is gone', 20,
                   lambda: [one['state'] for one in self.node.machines('twice')
                            if one['state'] != 'destroyed'] == ['started'])
        self.assertNotEqual(self.node.machine('twice').get('instance_id'), before['instance_id'])

    def scenario_status_logs_and_destroy_tell_and_end_an_app(self):
        self.node.deploy(self.app_folder('shown'))
        self.page_is('shown', 'page one', path='/?asked-by-the-test')
        status = json.loads(self.node.cli('status', '-a', 'shown', '--json').stdout)
        self.assertIn('shown', json.dumps(status))
        self.assertIn('started', json.dumps(status))
        wait_until('the access log shows the request', 10, lambda: 'asked-by-the-test' in
                   self.node.cli('logs', '-a', 'shown', '--no-tail').stdout)
        vmms = len(self.node.vmm_pids())
        self.node.cli('destroy', 'shown', '--yes')
        wait_until('its VM has ended', 20, lambda: len(self.node.vmm_pids()) == vmms - 1)
        status, text = self.node.get('shown')
        self.assertEqual(status, 404, text)
        self.assertIn('shown', text)

    def scenario_an_unknown_app_gets_an_error_page_with_a_request_id(self):
        status, text = self.node.get('nosuchapp', headers={'Accept': 'application/json'})
        self.assertEqual(status, 404)
        answer = json.loads(text)
        self.assertIn('nosuchapp', text)
        self.assertTrue(answer.get('request_id'), text)
        status, text = self.node.get('nosuchapp', headers={'Accept': 'text/html'})
        self.assertEqual(status, 404)
        self.assertIn('<html', text)

    def scenario_the_api_wants_its_token(self):
        self.node.token = lambda: 'wrong'
        try:
            status, value = self.node.api('GET', '/v1/apps')
        finally:
            del self.node.token
        self.assertEqual(status, 401, value)
        self.assertIn('error', value)
