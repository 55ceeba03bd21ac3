# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The snippets for deployment tools give a configuration that loads."""

from collections.abc import Iterator, Mapping
import configparser
import io
import pathlib
import re
import textwrap
from typing import Any

from cinder.common import config as cinder_config
from cinder.volume import driver as cinder_driver
from cinder.volume import manager as cinder_manager
import fixtures
from oslotest import base
import yaml

from cinder_lightbits_federation import loader
from cinder_lightbits_federation import options
from cinder_lightbits_federation.store import engine
from cinder_lightbits_federation.store.place import url_of
from tests.rules import source
from tests.simulator import pki
from tests.unit.test_loader import Backend

SNIPPETS = source.ROOT / 'etc' / 'deployment'
PAGE = source.ROOT / 'doc' / 'source' / 'install' / 'deployment.rst'
# Where all of them have certificates and tokens.
FILES = '/etc/cinder/lightbits'

Sections = dict[str, dict[str, str]]


def read_yaml(name: str) -> Any:
    """:returns: the only document of a file."""
    return yaml.safe_load((SNIPPETS / name).read_text(encoding='utf-8'))


def parse(text: str) -> Sections:
    """:returns: the sections of a ``cinder.conf``; nothing may repeat."""
    parser = configparser.RawConfigParser(default_section='')
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser if name}


def write(sections: Sections) -> str:
    """:returns: the sections as text."""
    parser = configparser.RawConfigParser(default_section='')
    parser.read_dict(sections)
    stream = io.StringIO()
    parser.write(stream)
    return stream.getvalue()


def filled_in(text: str) -> str:
    """:returns: the text with each of Ansible's variables filled in."""
    return re.sub(r'{{ \w+ }}', '3306', text)


def merged(sections: Sections, later: Sections) -> Sections:
    """:returns: both; of an option that both have, the later one counts."""
    return {name: {**sections.get(name, {}), **later.get(name, {})}
            for name in {**sections, **later}}


def packages() -> Sections:
    """What ``cinder-volume`` of a distribution reads."""
    text = (SNIPPETS / 'packages' / 'lightbits.conf').read_text(
        encoding='utf-8')
    return parse(text)


def kolla_ansible() -> Sections:
    """kolla-ansible's template, and the file that is merged into it."""
    variables = read_yaml('kolla-ansible/globals.yml')
    text = (SNIPPETS / 'kolla-ansible' / 'cinder-volume.conf').read_text(
        encoding='utf-8')
    names = [item['name'] for item in variables['cinder_backends']
             if item['enabled']]
    return {'DEFAULT': {'cluster': variables['cinder_cluster_name'],
                        'enabled_backends': ','.join(names)},
            **parse(filled_in(text))}


def openstack_ansible() -> Sections:
    """OpenStack-Ansible's template, then the overrides."""
    variables = read_yaml('openstack-ansible/user_variables.yml')
    backends = variables['cinder_backends']
    return merged({
        'DEFAULT': {'cluster': variables['cinder_active_active_cluster_name'],
                    'enabled_backends': ','.join(sorted(backends))},
        **backends}, {
            section: {name: filled_in(value)
                      for name, value in values.items()}
            for section, values in variables[
                'cinder_cinder_conf_overrides'].items()})


def openstack_helm() -> Sections:
    """The chart's ``cinder.conf`` and ``backends.conf``."""
    configuration = read_yaml('openstack-helm/values.yaml')['conf']
    return {**configuration['cinder'], **{
        name: values for name, values in configuration['backends'].items()
        if isinstance(values, Mapping)}}


def rhoso() -> Sections:
    """What cinder-operator makes of a volume service's own part."""
    plane = read_yaml('rhoso/control-plane.yaml')
    services = plane['spec']['cinder']['template']['cinderVolumes']
    sections = parse(services['lightbits']['customServiceConfig'])
    names = [name for name, values in sections.items()
             if 'volume_backend_name' in values]
    secret = read_yaml('rhoso/store.yaml')
    [[name, text]] = secret['stringData'].items()
    if services['lightbits']['customServiceConfigSecrets'] != [
            secret['metadata']['name']] or not name.endswith('.conf'):
        raise AssertionError('control-plane.yaml names another Secret')
    return merged({'DEFAULT': {'enabled_backends': ','.join(names)},
                   **sections}, parse(text))


# For a service that is alone on a host of its own.
ALONE = (packages,)
TOOLS = (packages, kolla_ansible, openstack_ansible, openstack_helm, rhoso)


def known_options() -> Mapping[str, frozenset[str]]:
    """:returns: options by section, those of any backend as ``backend``."""
    return {name: frozenset(opt.name for opt in opts) for name, opts in {
        'DEFAULT': cinder_config.global_opts,
        'backend': (cinder_driver.volume_opts
                    + cinder_manager.volume_backend_opts
                    + options.backend_opts),
        'cluster': options.cluster_opts}.items()}


def kind(section: str, backends: list[str]) -> str:
    """:returns: where the options of a section are known."""
    if section in backends:
        return 'backend'
    if section.startswith(options.CLUSTER_PREFIX):
        return 'cluster'
    return section


def files_of(sections: Sections) -> Iterator[pathlib.PurePosixPath]:
    """:returns: certificates and tokens that sections name."""
    for values in sections.values():
        for name, value in values.items():
            if name in ('tls_ca_file', 'jwt_file', 'private_key_file'):
                yield pathlib.PurePosixPath(value)


class LoadedTestCase(base.BaseTestCase):
    """Loads configurations with files that are there."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def materials(self, sections: Sections) -> str:
        """Make the files that sections name.

        :returns: the configuration with the paths they really have.
        """
        made = pathlib.Path(pki.Authority(str(self.folder)).ca_file)
        for path in files_of(sections):
            (self.folder / path.name).write_bytes(made.read_bytes())
        return write(sections).replace(FILES, str(self.folder))


class SnippetsTestCase(LoadedTestCase):

    def test_the_driver_loads_it(self) -> None:
        for tool in TOOLS:
            path = self.folder / f'{tool.__name__}.conf'
            path.write_text(self.materials(tool()), encoding='utf-8')
            settings = loader.load(
                Backend(str(path), 'lightbits'), 'lightbits', 'a-host', True,
                [str(path)], [])
            self.assertEqual((), settings.broken, tool.__name__)
            self.assertEqual(
                {'east', 'west'}, {item.name for item in settings.clusters})
            for item in settings.clusters:
                self.assertIsNotNone(item.client.expected_uuid)
                self.assertTrue(item.client.tls.ca_file)

    def test_a_clustered_service_has_its_store(self) -> None:
        # Needed in containers, too, where a file would be lost with them.
        for tool in TOOLS:
            path = self.folder / f'{tool.__name__}.conf'
            path.write_text(self.materials(tool()), encoding='utf-8')
            alone = tool in ALONE
            url = url_of(Backend(str(path), 'lightbits'), 'lightbits',
                         '/var/lib/cinder', not alone)
            self.assertEqual(alone, engine.is_file(url), tool.__name__)

    def test_the_backend_is_enabled(self) -> None:
        for tool in TOOLS:
            sections = tool()
            names = sections['DEFAULT']['enabled_backends'].split(',')
            self.assertEqual(['lightbits'], names, tool.__name__)
            self.assertEqual(
                'cinder_lightbits_federation.driver.LightbitsFederationDriver',
                sections['lightbits']['volume_driver'])

    def test_options_exist(self) -> None:
        known = known_options()
        for tool in TOOLS:
            sections = tool()
            backends = sections['DEFAULT']['enabled_backends'].split(',')
            unknown = {
                f'[{section}] {name}'
                for section, values in sections.items() for name in values
                if name not in known.get(kind(section, backends), ())}
            # Registered by the command cinder-volume alone.
            unknown.discard('[DEFAULT] cluster')
            self.assertEqual(set(), unknown, tool.__name__)

    def test_files_are_in_the_folder_that_is_mounted(self) -> None:
        for tool in TOOLS:
            paths = list(files_of(tool()))
            self.assertEqual({FILES}, {str(path.parent) for path in paths})
        volumes = read_yaml('kolla-ansible/globals.yml')[
            'cinder_volume_extra_volumes']
        self.assertEqual(f'/etc/lightbits:{FILES}:ro', volumes[0])

    def test_names_of_the_host_are_mounted_for_writing(self) -> None:
        variables = read_yaml('kolla-ansible/globals.yml')
        for service in ('cinder_volume', 'cinder_backup', 'nova_compute'):
            self.assertIn('/etc/nvme:/etc/nvme',
                          variables[f'{service}_extra_volumes'])
        place = read_yaml('openstack-helm/values.yaml')['pod']['mounts'][
            'cinder_volume']['cinder_volume']
        volume, mount = (next(
            item for item in place[what] if item['name'] == 'etcnvme')
            for what in ('volumes', 'volumeMounts'))
        self.assertEqual({'name': 'etcnvme', 'mountPath': '/etc/nvme'}, mount)
        self.assertEqual('/etc/nvme', volume['hostPath']['path'])

    def assert_mounted(self, secret: Mapping[str, Any],
                       volumes: list[dict[str, Any]],
                       mounts: list[dict[str, Any]],
                       sections: Sections) -> None:
        self.assertEqual([(volumes[0]['name'], FILES, True)], [
            (item['name'], item['mountPath'], item['readOnly'])
            for item in mounts if item['name'] == volumes[0]['name']])
        self.assertEqual(volumes[0]['secret']['secretName'],
                         secret['metadata']['name'])
        self.assertEqual({path.name for path in files_of(sections)},
                         set(secret['stringData']))

    def test_openstack_helm_mounts_the_secret(self) -> None:
        pod = read_yaml('openstack-helm/values.yaml')['pod']
        place = pod['mounts']['cinder_volume']['cinder_volume']
        self.assert_mounted(
            read_yaml('openstack-helm/secret.yaml'), place['volumes'],
            place['volumeMounts'], openstack_helm())

    def test_openstack_helm_waits_for_no_job_that_is_off(self) -> None:
        values = read_yaml('openstack-helm/values.yaml')
        off = {f'cinder-{name.removeprefix("job_").replace("_", "-")}'
               for name, on in values['manifests'].items() if not on}
        self.assertEqual({'cinder-storage-init'}, off)
        for name, waits in values['dependencies']['static'].items():
            self.assertEqual(set(), off & set(waits['jobs']), name)

    def test_rhoso_mounts_the_secret(self) -> None:
        plane = read_yaml('rhoso/control-plane.yaml')
        [extra] = plane['spec']['extraMounts'][0]['extraVol']
        self.assertEqual(['CinderVolume'], extra['propagation'])
        self.assert_mounted(read_yaml('rhoso/secret.yaml'), extra['volumes'],
                            extra['mounts'], rhoso())

    def test_rhoso_names_the_same_service(self) -> None:
        images = read_yaml('rhoso/version.yaml')['spec'][
            'customContainerImages']['cinderVolumeImages']
        plane = read_yaml('rhoso/control-plane.yaml')
        self.assertEqual(
            set(images),
            set(plane['spec']['cinder']['template']['cinderVolumes']))

    def test_every_file_is_on_the_page(self) -> None:
        shown = set(re.findall(
            r'literalinclude:: \.\./\.\./\.\./etc/deployment/(\S+)',
            PAGE.read_text(encoding='utf-8')))
        self.assertEqual(
            {str(path.relative_to(SNIPPETS))
             for path in SNIPPETS.rglob('*') if path.is_file()}, shown)


def on_page(name: str) -> Sections:
    """:returns: the only configuration on a page for operators."""
    page = source.ROOT / 'doc' / 'source' / 'admin' / f'{name}.rst'
    [text] = re.findall(r'code-block:: ini\n\n((?:(?:   .*)?\n)+)',
                        page.read_text(encoding='utf-8'))
    return parse(textwrap.dedent(text))


class ActiveActiveTestCase(LoadedTestCase):
    """The configuration on the page on clustered services."""

    def test_a_clustered_service_starts_with_it(self) -> None:
        sections = on_page('active-active')
        self.assertIn('cluster', sections['DEFAULT'])
        self.assertFalse(
            sections['coordination']['backend_url'].startswith('file:'))
        path = self.folder / 'clustered.conf'
        path.write_text(write(sections), encoding='utf-8')
        name = sections['DEFAULT']['enabled_backends']
        backend = Backend(str(path), name)
        loader.load(backend, name, 'a-host', True, [str(path)], [],
                    empty=True)
        self.assertFalse(engine.is_file(
            url_of(backend, name, '/var/lib/cinder', True)))


class ZonesTestCase(LoadedTestCase):
    """The configuration on the page on availability zones."""

    def test_each_zone_has_its_own_clusters(self) -> None:
        sections = on_page('zones')
        path = self.folder / 'zones.conf'
        path.write_text(self.materials(sections), encoding='utf-8')
        found = {}
        for name in sections['DEFAULT']['enabled_backends'].split(', '):
            self.assertEqual(set(), set(sections[name]) - known_options()[
                'backend'])
            settings = loader.load(Backend(str(path), name), name, 'a-host',
                                   True, [str(path)], [])
            self.assertEqual((), settings.broken)
            found[sections[name]['backend_availability_zone']] = [
                item.name for item in settings.clusters]
        self.assertEqual({'zone-a': ['east'], 'zone-b': ['west']}, found)


class ZuulTestCase(base.BaseTestCase):
    """``.zuul.yaml``"""

    def setUp(self) -> None:
        super().setUp()
        items = yaml.safe_load(
            (source.ROOT / '.zuul.yaml').read_text(encoding='utf-8'))
        self.jobs = {item['job']['name']: item['job'] for item in items
                     if 'job' in item}
        [self.project] = [item['project'] for item in items
                          if 'project' in item]

    def pipeline(self, name: str) -> list[str]:
        return [next(iter(item)) if isinstance(item, dict) else item
                for item in self.project[name]['jobs']]

    def test_every_job_is_used_and_every_used_one_is_there(self) -> None:
        parents = {job['parent'] for job in self.jobs.values()}
        used = {name for pipeline in ('check', 'gate', 'experimental')
                for name in self.pipeline(pipeline)}
        abstract = {name for name, job in self.jobs.items()
                    if job.get('abstract')}
        self.assertEqual(set(self.jobs) - abstract, used)
        self.assertTrue(abstract <= parents, abstract - parents)

    def test_tox_environments_exist(self) -> None:
        parser = configparser.RawConfigParser()
        parser.read(source.ROOT / 'tox.ini', encoding='utf-8')
        for job in self.jobs.values():
            if job['parent'] == 'openstack-tox':
                self.assertIn(f'testenv:{job["vars"]["tox_envlist"]}', parser)

    def test_variables_are_the_plugin_s(self) -> None:
        settings = (source.ROOT / 'devstack' / 'settings').read_text(
            encoding='utf-8')
        names = {name for job in self.jobs.values()
                 for name in job.get('vars', {}).get('devstack_localrc', {})
                 if name.startswith('LIGHTBITS_')}
        self.assertIn('LIGHTBITS_SIMULATOR', names)
        for name in names:
            self.assertIn(f'\n{name}=', settings)
