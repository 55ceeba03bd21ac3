#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.
"""Cinder the way operators run it, on one machine and without root.

MariaDB, RabbitMQ, etcd or Redis from the distribution's packages and Cinder's
own services are plain processes on free ports of the loopback, with all their
files in one folder: no systemd, no containers. Several ``cinder-volume`` with
different ``host`` form one cluster.

``python -m tests.stack --keep`` runs it for people.
"""
