#!/usr/bin/env bash
# Runs the README's two commands on a clean clone of HEAD in a bare Debian root, with a bare environment:
#   .ci/bare_root.sh bookworm|trixie              examples/quickstart.sh, then bash .ci/run
#   .ci/bare_root.sh bookworm|trixie COMMAND      that line of shell instead
# BARE_ROOT=FOLDER keeps the root there and takes it up again with what was installed; the clone is
# always new. DEBIAN_MIRROR=URL says where packages come from; without it, this machine's apt does.
# Needs root, debootstrap and git.
set -euo pipefail
suite=${1:-}
if [[ ! $suite =~ ^(bookworm|trixie)$ ]]; then
  echo "usage: .ci/bare_root.sh bookworm|trixie [COMMAND]" >&2
  exit 2
fi
commands=("${2:-examples/quickstart.sh}")
[ $# -gt 1 ] || commands+=("bash .ci/run")
source=$(realpath "$(dirname "$0")/..")
certificates=usr/local/share/ca-certificates/host.crt # what a root gets last

make_root() {
  local mirror=${DEBIAN_MIRROR:-}
  # shellcheck disable=SC2016 # apt replaces what looks like a command
  [ -n "$mirror" ] ||
    mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' | awk '$1 == "Debian" && !n++ { print $2 }')
  debootstrap --variant=minbase "$suite" "$root" "${mirror:?is empty: set DEBIAN_MIRROR}"
  # What this machine needs to reach its mirrors and registries, the root needs too.
  apt-config dump | grep -E '^Acquire::(https?|Check|Retries|ForceIPv)' >"$root/etc/apt/apt.conf.d/90host" || true
  install -D /etc/ssl/certs/ca-certificates.crt "$root/$certificates"
}

# In namespaces of its own, so that neither a mount nor a process is left behind, also where this
# script is killed. Their first shell stays, to take up orphans as an init does.
in_root() {
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child bash -euc '
    mount --rbind /dev "$1/dev"
    mount --rbind /sys "$1/sys"
    mount -t proc proc "$1/proc"
    status=0
    chroot "$1" /usr/bin/env -i -C /livepeerupscale HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/bash -c "$2" || status=$?
    exit $status' - "$root" "$1" </dev/null
}

if [ -n "${BARE_ROOT:-}" ]; then
  mkdir -p "$BARE_ROOT"
  root=$(realpath "$BARE_ROOT")
else
  root=$(mktemp -d "/var/tmp/bare-$suite.XXXXXX")
  trap 'rm -rf --one-file-system "$root"' EXIT
fi
logs=$(mktemp -d "/var/tmp/bare-$suite-logs.XXXXXX")
echo "Root: $root, logs: $logs"
if [ ! -f "$root/$certificates" ]; then make_root >"$logs/make_root" 2>&1; fi
cp /etc/resolv.conf /etc/hosts "$root/etc/"
rm -rf "$root/livepeerupscale"
git clone --quiet --no-local "$source" "$root/livepeerupscale"
git -C "$source" log -1 --format='%h %s'

trap 'exit 130' INT
failures=0 number=0
for command in "${commands[@]}"; do
  start=$SECONDS
  status=0
  log=$logs/command-$((++number))
  in_root "$command" >"$log" 2>&1 || status=$?
  tail -n 20 "$log"
  echo "$suite: $command: exit $status after $((SECONDS - start)) s"
  failures=$((failures + (status != 0)))
done
exit $((failures > 0))
