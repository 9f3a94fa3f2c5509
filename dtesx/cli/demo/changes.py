"""What happens to the server while it is protected: files change, come and go."""

from __future__ import annotations

from typing import Final

# Changed by content, by length, by mode and owner; renamed; linked; removed; a tree of new files.
SCRIPT: Final = """
set -e
echo "changed while protected" >> /etc/motd
printf 'new user data %s\\n' "$(date +%s)" > /home/ada/written-later.txt
chown ada:ada /home/ada/written-later.txt
chmod 600 /home/ada/written-later.txt
cp -a /etc/hosts /etc/hosts.saved
mkdir -p /srv/later/a/b
for number in $(seq 1 200); do echo "file $number" > "/srv/later/a/b/file-$number"; done
ln -s a/b/file-1 /srv/later/first
ln /srv/later/a/b/file-2 /srv/later/second
dd if=/dev/urandom of=/srv/later/blob bs=1M count=4 status=none
dd if=/dev/urandom of=/srv/odd/bulk/random.bin bs=4096 seek=100 count=3 conv=notrunc status=none
mv /srv/odd/bulk/group-0 /srv/odd/bulk/renamed
rm -r /srv/odd/bulk/group-1
rm /home/linus/.profile-local
"""
"""A shell script, run on the server."""
