/**
 * For sh, in a mount namespace of its own: lets go of all envs' mounts but "$keep", which the namespace began with. Other tests could not
 * unmount theirs while it lasts.
 */
export const LET_GO = `
while read -r source dir type rest; do
  [ "$type" = fuse.byref ] && [ "$dir" != "\${keep-}" ] && printf "%s\\0" "$dir"
done </proc/self/mounts | xargs -0 -r umount -l
`;
