/** Imports go one way: stacks and cli -> components and targets -> schema; workloads, nodes, analysis -> schema. */
const only = (name, from, allowed) => ({
  name,
  severity: "error",
  from: { path: from },
  to: {
    path: "^(schema|components|local|minikube|kind|eks|targets|workloads|nodes|analysis|cli|ci|stacks|images|test)/",
    pathNot: allowed,
  },
});

module.exports = {
  forbidden: [
    only("schema-imports-nothing-of-ours", "^schema/", "^schema/"),
    only("components-import-schema", "^components/", "^(components|schema)/"),
    only("workloads-import-schema", "^workloads/", "^(workloads|schema)/"),
    only("nodes-import-schema", "^nodes/([^/]+)/", "^(nodes/$1|schema)/"),
    only("analysis-imports-schema", "^analysis/", "^(analysis|schema)/"),
    only(
      "targets-import-the-contract",
      "^(local|minikube|kind|eks|targets)/(?!modules|programs)", // the two registries name every target
      "^($1|local|images|schema|targets|components/(cluster-target|kubernetes))",
    ),
    only(
      "toolchain-and-cluster-know-no-target",
      "^local/(toolchain|cluster)/",
      "^(local/(toolchain|cluster)|images|schema)/",
    ),
    {
      name: "commands-stay-out-of-the-program",
      severity: "error",
      from: { path: "(^|/)target\\.ts$|^targets/program" },
      to: { path: "(^|/)(connection|doctor)\\.ts$|^targets/(modules|kube-client)" },
    },
    only("images-import-local-and-schema", "^images/", "^(images|local|schema)/"),
    only("ci-imports-what-it-previews", "^ci/", "^(ci|stacks|components|targets|local|images|schema)/"),
    only("stacks-import-no-commands", "^stacks/", "^(stacks|components|targets|schema)/"),
    only(
      "nobody-imports-tests",
      "^(cli|ci|stacks|components|targets|local|minikube|kind|eks|images|schema|workloads|nodes|analysis)/",
      "^(cli|ci|stacks|components|targets|local|minikube|kind|eks|images|schema|workloads|nodes|analysis)/",
    ),
    {
      name: "schema-imports-zod-and-yaml-only",
      severity: "error",
      from: { path: "^schema/" },
      to: { dependencyTypes: ["npm", "npm-dev"], pathNot: "node_modules/(zod|yaml)/" },
    },
    {
      name: "run-time-programs-know-no-pulumi",
      severity: "error",
      from: { path: "^(workloads|nodes|analysis|schema)/" },
      to: { path: "node_modules/@pulumi/" },
    },
    {
      name: "systems-do-not-know-each-other",
      severity: "error",
      from: { path: "^components/(kv|ceramic|quorum|dht|mesh)/" },
      to: { path: "^components/(kv|ceramic|quorum|dht|mesh)/", pathNot: "^components/$1/" },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(node_modules|results|test)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
