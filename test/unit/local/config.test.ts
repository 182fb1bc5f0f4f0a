import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { linkOf } from "../../../local/cluster/addresses.ts";
import { bootScript } from "../../../local/cluster/boot-script.ts";
import { parseCgroupLayout } from "../../../local/cluster/cgroups.ts";
import {
  type ConfigInput,
  closedLinkRules,
  containerdConfig,
  kubeletConfig,
  kwokctlConfig,
} from "../../../local/cluster/config.ts";
import { clusterPaths } from "../../../local/cluster/paths.ts";
import { quote, runScript } from "../../../local/cluster/services.ts";
import { readState, writeState } from "../../../local/cluster/state.ts";
import { holdsSysResource } from "../../../local/cluster/traits.ts";

const paths = clusterPaths({ clusters: "/srv/it's here/clusters", locks: "/srv/locks" }, "local");
const input: ConfigInput = {
  paths,
  link: linkOf(5),
  nodeName: "orrery-local",
  pauseImage: "orrery.dev/pause:0123456789ab",
  cniPlugins: "/opt/plugins",
  traits: { canLowerOomScore: false, snapshotter: "overlayfs" },
};

describe("configuration of a cluster", () => {
  test("containerd restricts out-of-memory scores exactly where they cannot be lowered", () => {
    expect(containerdConfig(input)).toContain("restrict_oom_score_adj = true");
    const able = { ...input, traits: { ...input.traits, canLowerOomScore: true } };
    expect(containerdConfig(able)).toContain("restrict_oom_score_adj = false");
    expect(containerdConfig(input)).toContain(`sandbox_image = "${input.pauseImage}"`);
  });

  test("the kubelet never collects images and evicts by absolute sizes only", () => {
    const config = JSON.parse(kubeletConfig(input));
    expect(config.imageGCHighThresholdPercent).toBe(100);
    expect(Object.values(config.evictionHard).filter((value) => String(value).includes("%"))).toEqual([]);
    expect(config.cgroupRoot).toBe(`/orrery-${paths.id}`);
  });

  test("the certificate covers the node and the API server's Service, and etcd listens on loopback", () => {
    const binaries = {
      etcd: "/e",
      "kube-apiserver": "/a",
      "kube-controller-manager": "/c",
      "kube-scheduler": "/s",
    } as const;
    const config = parse(kwokctlConfig(input, binaries));
    expect(config.options.kubeApiserverCertSANs).toEqual([input.link.nodeAddress, "198.19.0.1"]);
    const etcd = config.componentsPatches.find((patch: { name: string }) => patch.name === "etcd");
    expect(etcd.extraArgs).toContainEqual({ key: "listen-client-urls", value: "http://127.0.0.1:2379" });
  });

  test("the link lets the host in to the API server alone and nothing new out", () => {
    const rules = closedLinkRules(input.link).split("\n");
    const into = rules.filter((rule) => rule.startsWith("-A PREROUTING"));
    expect(into[0]).toContain(`-d ${input.link.nodeAddress} -p tcp --dport 6443 -j ACCEPT`);
    expect(into.at(-1)).toBe("-A PREROUTING -i eth0 -j DROP");
    expect(rules).toContain("-A POSTROUTING -o eth0 -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP");
  });

  test("paths with blanks and quotes stay one word of the boot script", () => {
    const programs = {
      path: "/usr/bin",
      svscan: "/usr/bin/s6-svscan",
      supervisorFolder: "/usr/bin",
      of: (n: string) => n,
    };
    const script = bootScript({ ...input, keep: ["/tmp/a b", "/opt/c"], programs });
    expect(script).toContain(`'/srv/it'\\''s here/clusters/local/services'`);
    expect(script).toContain("mount --rbind '/tmp/a b'");
    expect(script).not.toContain("/opt/c"); // not below a folder that is replaced: needs no keeping
  });

  test.each([
    ["plain-word_1.2:/x", "plain-word_1.2:/x"],
    ["two words", "'two words'"],
    ["it's", `'it'\\''s'`],
    ["$(reboot)", "'$(reboot)'"],
  ])("quotes %s", (word, quoted) => {
    expect(quote(word)).toBe(quoted);
    expect(runScript({ name: "x", command: ["/bin/x", word] })).toBe(`#!/bin/sh\nexec /bin/x ${quoted} 2>&1\n`);
  });
});

describe("what the machine says of itself", () => {
  const v1 = "33 25 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
  const v2 = "34 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
  test("control groups of version 1, 2, both and none", () => {
    expect(parseCgroupLayout(v1)).toEqual({ version: 1, roots: ["/sys/fs/cgroup/cpu"], all: ["/sys/fs/cgroup/cpu"] });
    expect(parseCgroupLayout(v2)).toEqual({
      version: 2,
      roots: ["/sys/fs/cgroup/unified"],
      all: ["/sys/fs/cgroup/unified"],
    });
    expect(parseCgroupLayout(`${v1}\n${v2}`)).toMatchObject({
      version: 1,
      roots: ["/sys/fs/cgroup/cpu"],
      all: ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"],
    });
    expect(parseCgroupLayout("1 1 0:1 / / rw - ext4 /dev/x rw")).toBeUndefined();
  });

  test("CAP_SYS_RESOURCE is read from the effective mask", () => {
    expect(holdsSysResource("Name:\tx\nCapEff:\t000001ffffffffff\n")).toBe(true);
    expect(holdsSysResource("Name:\tx\nCapEff:\t000001fffeffffff\n")).toBe(false);
  });
});

describe("a cluster's record", () => {
  const state = { version: 1, linkIndex: 7, snapshotter: "overlayfs", created: "2026-01-01T00:00:00Z" } as const;

  async function inFolder(body: (own: typeof paths) => Promise<void>): Promise<void> {
    const root = await mkdtemp(join(tmpdir(), "orrery-state-"));
    try {
      const own = clusterPaths({ clusters: root, locks: root }, "local");
      await mkdir(own.folder);
      await body(own);
    } finally {
      await rm(root, { recursive: true });
    }
  }

  test("is read as it was written; none is no error", () =>
    inFolder(async (own) => {
      expect(await readState(own)).toBeUndefined();
      const whole = { ...state, folder: own.folder };
      await writeState(own, whole);
      expect(await readState(own)).toEqual(whole);
    }));

  test.each([
    ["cut short", '{"version": 1, "lin', "is not JSON"],
    ["of another shape", '{"version": 2}', "is damaged"],
    ["of another place", JSON.stringify({ ...state, folder: "/elsewhere" }), "was made in /elsewhere"],
  ])("%s is one clear error that names reset", (_, text, words) =>
    inFolder(async (own) => {
      await writeFile(own.state, text);
      await expect(readState(own)).rejects.toThrow(words);
      await expect(readState(own)).rejects.toThrow("orrery local reset");
    }),
  );
});
