/** Imports go one way: stacks and cli -> components and targets -> schema; workloads, nodes, analysis -> schema. */
const only = (name, from, allowed) => ({
  name,
  severity: "error",
  from: { path: from },
  to: { path: "^(schema|components|local|workloads|nodes|analysis|cli|ci|stacks|images|test)/", pathNot: allowed },
});

module.exports = {
  forbidden: [
    only("schema-imports-nothing-of-ours", "^schema/", "^schema/"),
    only("components-import-schema", "^components/", "^(components|schema)/"),
    only("workloads-import-schema", "^workloads/", "^(workloads|schema)/"),
    only("analysis-imports-schema", "^analysis/", "^(analysis|schema)/"),
    only("local-imports-schema-and-the-target-contract", "^local/", "^(local|images|schema|components/cluster-target)"),
    only("images-import-local-and-schema", "^images/", "^(images|local|schema)/"),
    only("ci-imports-what-it-previews", "^ci/", "^(ci|stacks|components|local|images|schema)/"),
    only("stacks-import-no-commands", "^stacks/", "^(stacks|components|local|images|schema)/"),
    only(
      "nobody-imports-tests",
      "^(cli|ci|stacks|components|local|images|schema|workloads|analysis)/",
      "^(cli|ci|stacks|components|local|images|schema|workloads|analysis)/",
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
      from: { path: "^(workloads|analysis|schema)/" },
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
    exclude: { path: "^(node_modules|nodes|results|test)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
