#!/bin/busybox sh
# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

# First process of the guest: load modules, put the machine's own files
# below a writable layer, and run the script on the share.

bb=/bin/busybox
${bb} hostname guest
${bb} mount -t proc proc /proc
${bb} mount -t sysfs sysfs /sys
${bb} mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
    ${bb} insmod "${module}" || echo "cannot load ${module}"
done

options=trans=virtio,version=9p2000.L,msize=262144
${bb} mount -t 9p -o "${options},ro,cache=loose" base /base
${bb} mount -t 9p -o "${options},ro,cache=loose" extra /extra
${bb} mount -t 9p -o "${options}" share /share
${bb} mount -t tmpfs tmpfs /rw
${bb} mkdir /rw/upper /rw/work
${bb} mount -t overlay -o \
    lowerdir=/extra:/base,upperdir=/rw/upper,workdir=/rw/work overlay /root

for place in proc sys dev; do
    ${bb} mount --move "/${place}" "/root/${place}"
done
# As on any host: what is at /run costs no more than memory.
${bb} mkdir -p /root/run /root/dev/pts
${bb} mount -t tmpfs tmpfs /root/run
${bb} mkdir /root/run/share
${bb} mount --move /share /root/run/share
${bb} mount -t configfs configfs /root/sys/kernel/config
${bb} mount -t tmpfs tmpfs /root/dev/shm 2>/dev/null \
    || { ${bb} mkdir -p /root/dev/shm; ${bb} mount -t tmpfs tmpfs /root/dev/shm; }

${bb} chroot /root /bin/sh /run/share/run.sh >/root/run/share/output 2>&1
echo $? >/root/run/share/status
${bb} sync
echo b >/root/proc/sysrq-trigger
