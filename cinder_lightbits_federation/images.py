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
"""Volumes from images: reads what Glance says, and lets masters be cloned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinder.volume import driver
from oslo_config import cfg
from oslo_log import log as logging

from cinder_lightbits_federation.exception import KNOWN
from cinder_lightbits_federation.exception import translated
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.goldenrules import Image
from cinder_lightbits_federation import records
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.sizes import GIB

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# Properties of images whose data must not be taken over unseen.
SIGNATURE = 'img_signature'
ENCRYPTION = ('cinder_encryption_key_id', 'os_encrypt_')

DECLINED: tuple[None, bool] = (None, False)


class ImagesMixin(driver.VolumeDriver):
    """Clone masters of images; keep what is downloaded as masters."""

    @property
    def federation(self) -> Federation:
        """The use cases; the driver has them."""
        raise NotImplementedError

    def _request(self, volume: Any) -> CreateRequest:
        """What a new volume shall be; the driver knows."""
        raise NotImplementedError

    def _ref(self, volume: Any) -> VolumeRef:
        """The volume of a record; the driver knows."""
        raise NotImplementedError

    def clone_image(self, context: Any, volume: Any, image_location: Any,
                    image_meta: Mapping[str, Any], image_service: Any
                    ) -> tuple[dict[str, str] | None, bool]:
        """Clone the master of an image where placement puts the volume.

        Never fails: what goes wrong here is logged, and Cinder makes the
        volume in the ordinary way.

        :returns: (None, False) when that is to be done.
        """
        if not self.federation.settings.golden.enabled:
            return DECLINED
        try:
            made = self._clone(volume, image_location, image_meta)
        except KNOWN as exc:
            LOG.warning('Volume %s is not cloned from a master of image %s: '
                        '%s', volume.id, image_meta.get('id'), exc)
            return DECLINED
        if made is None:
            return DECLINED
        LOG.info('Volume %s was cloned on cluster %s.', volume.id,
                 made.cluster)
        return records.model_update(made.location), True

    def copy_image_to_volume(self, context: Any, volume: Any,
                             image_service: Any, image_id: str,
                             disable_sparse: bool = False) -> None:
        """Fill a volume with an image; a new one may become its master."""
        # A volume that was in use before holds more than the image.
        pristine = volume.launched_at is None and not disable_sparse
        with translated(volume.id):
            ref = self._ref(volume)
        with self.federation.golden.filling(ref, pristine):
            super().copy_image_to_volume(context, volume, image_service,
                                         image_id,
                                         disable_sparse=disable_sparse)

    def _clone(self, volume: Any, image_location: Any,
               image_meta: Mapping[str, Any]) -> Created | None:
        if volume.provider_location:
            # An earlier attempt may have left something: not for a clone.
            LOG.info('Volume %s was tried before.', volume.id)
            return None
        if volume.encryption_key_id or cloned_by_cinder(image_location):
            return None
        image = image_of(image_meta)
        request = self._request(volume)
        reason = goldenrules.unfit(image, request.size, volume.project_id,
                                   request.spec)
        if reason is not None:
            LOG.info('Volume %s is made without a master: %s.', volume.id,
                     reason)
            return None
        return self.federation.create_from_image(request, image)


def image_of(meta: Mapping[str, Any]) -> Image:
    """Read an image as Cinder's image service shows it."""
    known = {**(meta.get('properties') or {}),
             **{key: value for key, value in meta.items()
                if key != 'properties'}}
    names = [key for key, value in known.items() if value]
    size = known.get('virtual_size')
    return Image(
        id=str(known['id']), content=_content(known),
        status=str(known.get('status') or ''),
        virtual_size=int(size) if size else None,
        min_disk=int(known.get('min_disk') or 0) * GIB,
        visibility=str(known.get('visibility') or ''),
        owner=str(known.get('owner') or ''),
        signed=any(name.startswith(SIGNATURE) for name in names),
        encrypted=any(name.startswith(ENCRYPTION) for name in names))


def _content(known: Mapping[str, Any]) -> str:
    """What identifies the data: its digest, or all that changes with it."""
    digest = known.get('os_hash_value')
    form = f'{known.get("disk_format")} {known.get("container_format")}'
    if digest:
        return f'{form} {known.get("os_hash_algo")} {digest}'
    if known.get('checksum') and known.get('updated_at'):
        return f'{form} {known["checksum"]} {known["updated_at"]}'
    return ''


def cloned_by_cinder(image_location: Any) -> bool:
    """Whether Cinder clones the volume that holds the image by itself.

    :param image_location: the image's direct URL, and all its locations.
    """
    if 'cinder' not in CONF.allowed_direct_url_schemes:
        return False
    direct, locations = image_location or (None, None)
    urls = [direct, *(item.get('url') for item in locations or ())]
    return any(str(url).startswith('cinder://') for url in urls if url)
