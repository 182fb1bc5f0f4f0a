import { podCidr } from "./addresses.ts";
import { type ConfigInput, closedLinkRules } from "./config.ts";
import { inside } from "./paths.ts";
import { quote, type ServicePrograms } from "./services.ts";

/** Host folders whose place inside is taken by the cluster's own, so that fixed paths of Kubernetes meet nobody else's. */
const replaced = ["/run", "/tmp", "/var/tmp", "/var/lib", "/var/log"] as const;

/** Kernel-wide settings the kubelet would write: it gets files to write to, the host keeps its values. */
const maskedSettings = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
] as const;

/** What {@link bootScript} is made of, besides the configuration. */
export interface BootInput extends ConfigInput {
  /** Host folders that must stay reachable under their own path inside: the home, the cache, the tools. */
  readonly keep: readonly string[];
  readonly programs: ServicePrograms;
}

/**
 * The first program of a cluster, run in fresh namespaces. It lays the cluster's folders over the host's, waits for its end of the link, closes it, and becomes the supervisor.
 * Everything it mounts is in its own mount namespace and goes with its last process.
 */
export function bootScript(input: BootInput): string {
  const { paths, link, nodeName, keep, programs } = input;
  const data = quote(paths.data);
  const run = quote(`${paths.folder}/run`);
  return `#!/bin/sh
set -eu
export PATH=${quote(programs.path)}
umask 022

# Hold on to what must stay reachable, then put the cluster's own folders in the place of the host's.
mkdir -p ${run}
mount -t tmpfs -o mode=755,nosuid,nodev orrery-run ${run}
${keep.map((folder, index) => holdLines(folder, `${paths.folder}/run/orrery/keep/${index}`)).join("\n")}
mkdir -p ${run}/orrery/data
mount --rbind ${data} ${run}/orrery/data
mount --rbind ${run} /run
mount --bind /run/orrery/data/tmp /tmp
mount --bind /run/orrery/data/tmp /var/tmp
mount -t tmpfs -o mode=755,nosuid,nodev orrery-lib /var/lib
mount -t tmpfs -o mode=755,nosuid,nodev orrery-log /var/log
${keep.map((folder, index) => restoreLines(folder, index)).join("\n")}
for folder in ${dataMounts.map(([name]) => name).join(" ")}; do mkdir -p "/run/orrery/data/$folder"; done
${dataMounts.map(([name, place]) => `mkdir -p ${place}; mount --bind /run/orrery/data/${name} ${place}`).join("\n")}
mkdir -p /run/lock /run/netns ${inside.cniState}
chmod 1777 /tmp
chmod 700 /run/orrery/data/etcd
mount -t proc -o nosuid,nodev,noexec proc /proc

# The supervisor starts its helper by the fixed path it was built with.
if [ ! -x /usr/bin/s6-supervise ]; then
  mkdir -p /run/orrery/supervisor
  for program in ${quote(programs.supervisorFolder)}/s6-*; do ln -s "$program" /run/orrery/supervisor/; done
  mount -t overlay -o lowerdir=/run/orrery/supervisor:/usr/bin orrery-bin /usr/bin
fi

# The kubelet sets these for the whole machine; here it writes to files of its own.
mkdir -p /run/orrery/settings
for setting in ${maskedSettings.join(" ")}; do
  [ -e "/proc/sys/$setting" ] || continue
  file="/run/orrery/settings/$(echo "$setting" | tr / _)"
  cat "/proc/sys/$setting" > "$file"
  mount --bind "$file" "/proc/sys/$setting"
done

hostname ${quote(nodeName)}
for scope in all default; do
  [ ! -e "/proc/sys/net/ipv6/conf/$scope/disable_ipv6" ] || echo 1 > "/proc/sys/net/ipv6/conf/$scope/disable_ipv6"
done
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set lo up

# The host makes the link and moves our end in; without it the cluster is of no use.
tries=0
until ip link show eth0 > /dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 400 ] || { echo "boot: no link to the host after 20 s" >&2; exit 1; }
  sleep 0.05
done
iptables-restore <<'RULES'
${closedLinkRules(link)}RULES
ip address add ${link.nodeAddress}/30 dev eth0
ip link set eth0 up
# No default route: nothing leaves. Pods have routes of their own; the rest of their range is nobody.
ip route add unreachable ${podCidr}

ulimit -n "$(ulimit -Hn)"
exec env -i PATH="$PATH" HOME=/tmp ORRERY_CLUSTER=${quote(paths.id)} ${quote(programs.svscan)} -c 64 ${quote(paths.services)}
`;
}

/** The cluster's persistent folders and where they are inside. */
const dataMounts: readonly (readonly [string, string])[] = [
  ["containerd", inside.containerdRoot],
  ["kubelet", inside.kubeletRoot],
  ["pod-logs", inside.podLogs],
  ["volumes", inside.volumes],
  ["etcd", inside.etcd],
  ["certificates", inside.certificates],
];

function isReplaced(folder: string): boolean {
  return replaced.some((place) => folder === place || folder.startsWith(`${place}/`));
}

function holdLines(folder: string, held: string): string {
  return isReplaced(folder) ? `mkdir -p ${quote(held)}; mount --rbind ${quote(folder)} ${quote(held)}` : "";
}

function restoreLines(folder: string, index: number): string {
  const held = `${inside.keep}/${index}`;
  return isReplaced(folder) ? `mkdir -p ${quote(folder)}; mount --rbind ${held} ${quote(folder)}` : "";
}
