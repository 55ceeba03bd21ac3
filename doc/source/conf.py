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

"""How Sphinx builds the documentation."""

import logging

from sphinx.application import Sphinx

project = 'cinder-lightbits-federation'
copyright = 'the contributors of cinder-lightbits-federation'  # noqa: A001

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
]

root_doc = 'index'
exclude_patterns: list[str] = []
pygments_style = 'native'
highlight_language = 'none'

html_theme = 'openstackdocs'
html_copy_source = False
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
html_theme_options = {
    # Readers are nobody's to count.
    'analytics_tracking_code': '',
    'display_badge': False,
    'root_title': project,
    'sidebar_search': True,
}

man_pages = [('reference/cli', 'lightbits-federation',
              'looks after one Cinder backend over Lightbits clusters', '', 1)]


def setup(_app: Sphinx) -> None:
    """Let a folder that the table of contents names hold no page yet.

    Sphinx gives this one warning no type, so that ``suppress_warnings``
    cannot name it.
    """
    logging.getLogger('sphinx.sphinx.directives.other').addFilter(
        lambda record: getattr(record, 'subtype', '') != 'empty_glob')
