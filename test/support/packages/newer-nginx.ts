import { output } from '../machine/program.ts';
import { inEnvWords } from './debian.ts';

/** What the newer program says that it is: the release's number has as many characters. */
export const NEWER = 'nginx/9.99.9';

/**
 * Rebuilds the package `nginx` of a tree as an update of it: the same files and scripts, but a program that says another version.
 * The dependencies of the packages beside it hold for it, too.
 */
const REBUILD = `
new=/tmp/nginx
mkdir -p "$new/DEBIAN"
dpkg-query --listfiles nginx | sed 's,^/,,' | tar --create --no-recursion --directory / --files-from - | tar --extract --directory "$new"
LC_ALL=C sed -i 's,nginx/1[.][0-9][0-9][.][0-9],${NEWER},' "$new/usr/sbin/nginx"
dpkg-query --status nginx | sed '/^Status:/d; s/^Version: .*/&+byref1/' >"$new/DEBIAN/control"
for part in postinst prerm triggers; do cp "/var/lib/dpkg/info/nginx.$part" "$new/DEBIAN/"; done
dpkg-deb --root-owner-group -Znone --build "$new" /tmp/nginx.deb
# Nothing is started in a tree.
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
dpkg --install /tmp/nginx.deb
rm -r /usr/sbin/policy-rc.d "$new" /tmp/nginx.deb
test -z "$(dpkg --verify; dpkg --audit)"
`;

/** Upgrades nginx in a tree of Debian, with dpkg, to a package that is newer. */
export async function upgradeNginx(tree: string): Promise<void> {
  const [program = '', ...words] = inEnvWords(tree, REBUILD);
  await output(program, words);
}
