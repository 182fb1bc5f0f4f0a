import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { OrreryHome } from "../../../local/toolchain/home.ts";
import { cluster as shared } from "../../support/cluster.ts";
import {
  create,
  restrictedNamespace,
  runScript,
  scriptPodSpec,
  startCluster,
  type TestCluster,
  until,
} from "./support.ts";

describe.skipIf(!shared.available)("pods on the local cluster", () => {
  const namespace = "local-test";
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster(OrreryHome.fromEnvironment({ ...process.env, ...shared.environment() }));
    await restrictedNamespace(cluster, namespace);
    const ordered = `
      const name = process.env.HOSTNAME;
      require("node:http").createServer((_, answer) => answer.end(name)).listen(8080);
    `;
    await create(cluster, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "peers", namespace },
      spec: { clusterIP: "None", publishNotReadyAddresses: true, selector: { app: "peers" }, ports: [{ port: 8080 }] },
    });
    await create(cluster, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "front", namespace },
      spec: { selector: { app: "peers" }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    await create(cluster, {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: "peers", namespace },
      spec: {
        replicas: 2,
        serviceName: "peers",
        podManagementPolicy: "Parallel",
        selector: { matchLabels: { app: "peers" } },
        template: {
          metadata: { labels: { app: "peers" } },
          spec: { ...scriptPodSpec(cluster.image, { script: ordered }), restartPolicy: "Always" },
        },
      },
    });
  });

  test("a pod that is not root writes to a volume of the default class, which goes with its claim", async () => {
    await create(cluster, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "data", namespace },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "16Mi" } } },
    });
    const script = `
      const fs = require("node:fs");
      fs.writeFileSync("/data/kept", "written by " + process.getuid());
      console.log(fs.readFileSync("/data/kept", "utf8"));
      try { fs.writeFileSync("/root-file", ""); } catch (error) { console.log(error.code); }
      console.log(/^Seccomp:\\t(\\d)/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]);
    `;
    const printed = await runScript(cluster, { name: "writer", namespace, script, claim: "data" });
    expect(printed.split("\n")).toEqual(["written by 65532", "EROFS", "2"]);

    const volumes = join(cluster.home.clusters, "local", "data", "volumes");
    expect(await readdir(volumes)).toHaveLength(1);
    await cluster.core.deleteNamespacedPod({ name: "writer", namespace });
    await cluster.core.deleteNamespacedPersistentVolumeClaim({ name: "data", namespace });
    await until("the volume's folder is gone", async () => (await readdir(volumes)).length === 0);
  });

  test("peers of a StatefulSet resolve by name, ready or not", async () => {
    const script = `
      const { lookup } = require("node:dns").promises;
      const names = [0, 1].map((ordinal) => "peers-" + ordinal + ".peers.${namespace}.svc.cluster.local");
      (async () => {
        const end = Date.now() + 20000;
        for (const name of names) {
          for (;;) {
            const found = await lookup(name).catch(() => undefined);
            if (found !== undefined) { console.log(found.address); break; }
            if (Date.now() > end) throw new Error(name);
          }
        }
        const start = Date.now();
        await lookup("nobody.peers.${namespace}.svc.cluster.local").catch((error) => console.log(error.code));
        if (Date.now() - start > 1000) throw new Error("a missing name took " + (Date.now() - start) + " ms");
      })();
    `;
    const lines = (await runScript(cluster, { name: "resolver", namespace, script })).split("\n");
    expect(lines.slice(0, 2).every((address) => /^198\.18\.\d+\.\d+$/.test(address))).toBe(true);
    expect(new Set(lines.slice(0, 2)).size).toBe(2);
    expect(lines[2]).toBe("ENOTFOUND");
  });

  test("a Service's address leads to all of its pods", async () => {
    const script = `
      (async () => {
        const seen = new Set();
        const end = Date.now() + 30000;
        while (seen.size < 2 && Date.now() < end) {
          const answer = await fetch("http://front.${namespace}/", { headers: { connection: "close" } }).catch(() => undefined);
          if (answer !== undefined) seen.add(await answer.text());
        }
        console.log([...seen].sort().join(" "));
      })();
    `;
    expect(await runScript(cluster, { name: "caller", namespace, script })).toBe("peers-0 peers-1");
  });

  test("nothing gets out: neither to the internet, nor to this machine", async () => {
    const { createServer } = await import("node:http");
    const reached: string[] = [];
    const server = createServer((request, answer) => {
      reached.push(String(request.socket.remoteAddress));
      answer.end("host");
    });
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const host = cluster.nodeAddress.replace(/\d+$/, (last) => String(Number(last) - 1));
    try {
      // The same address answers this machine itself, so silence inside is the cluster's doing.
      expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe("host");
      reached.length = 0;
      const script = `
        const { connect } = require("node:net");
        const attempt = (host, port) => new Promise((resolve) => {
          const socket = connect({ host, port, timeout: 2000 });
          socket.once("connect", () => resolve("connected"));
          socket.once("timeout", () => resolve("silence"));
          socket.once("error", (error) => resolve(error.code));
        });
        (async () => {
          for (const [host, port] of [["${host}", ${port}], ["198.19.255.254", 80], ["198.20.0.1", 80]]) {
            console.log(await attempt(host, port));
          }
          process.exit(0);
        })();
      `;
      const outcomes = (await runScript(cluster, { name: "escapee", namespace, script })).split("\n");
      expect(outcomes).toHaveLength(3);
      expect(outcomes).not.toContain("connected");
      expect(reached).toEqual([]);
    } finally {
      server.close();
    }
  });
});
