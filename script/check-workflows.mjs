// Reads action.yml and workflow files with GitHub's own language service and prints what it finds; exits with 1 then.
//
//   node script/check-workflows.mjs FILE...    paths from the root of the repository, which is the current folder
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

// The packages import JSON in the way bundlers do, which Node refuses: it is given as a module of its own.
register(
  "data:text/javascript," +
    encodeURIComponent(`
      import { readFile } from "node:fs/promises";
      export const load = async (url, context, next) =>
        url.endsWith(".json")
          ? { format: "module", source: "export default " + (await readFile(new URL(url), "utf8")), shortCircuit: true }
          : next(url, context);
    `),
);
const { registerLogger, validate } = await import("@actions/languageservice");
const { TextDocument } = await import("vscode-languageserver-textdocument");
const { parse } = await import("yaml");

const OWN_ACTION = "octue/deploy-cloud-run-action";

// The inputs of the actions in use, at the very commits in use: nothing is asked of GitHub. An action that is not here
// is a finding, so that a new commit is looked at.
const INPUTS = {
  // v7.0.1
  "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1":
    "repository ref token ssh-key ssh-known-hosts ssh-strict ssh-user persist-credentials path clean filter " +
    "sparse-checkout sparse-checkout-cone-mode fetch-depth fetch-tags show-progress lfs submodules " +
    "set-safe-directory github-server-url allow-unsafe-pr-checkout",
  // v7.0.0
  "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97":
    "python-version python-version-file cache architecture check-latest token cache-dependency-path " +
    "update-environment allow-prereleases freethreaded pip-version",
};

const actionsMetadataProvider = {
  async fetchActionMetadata({ owner, name, ref }) {
    if (`${owner}/${name}` === OWN_ACTION) return parse(readFileSync("action.yml", "utf8"));
    const inputs = INPUTS[`${owner}/${name}@${ref}`];
    return inputs && { inputs: Object.fromEntries(inputs.split(" ").map((input) => [input, {}])) };
  },
};

// Reads what a workflow refers to: in its own repository (an example is one), or in this one, by its full name.
const fileProvider = (workflow) => ({
  async getFileContent({ owner, repository, path }) {
    if (owner && `${owner}/${repository}` !== OWN_ACTION) throw new Error(`${owner}/${repository} is not known here`);
    const root = owner ? "." : resolve(dirname(workflow), "../..");
    return { name: path, content: readFileSync(join(root, path), "utf8") };
  },
});

let file;
let findings = 0;
const report = (message, { line, character } = { line: 0, character: 0 }) => {
  findings += 1;
  console.log(`${file}:${line + 1}:${character + 1}: ${message}`);
};

// An exception of its own is only logged by the service, which then finds nothing.
registerLogger({ error: report, warn: report, info() {}, log() {} });

for (file of process.argv.slice(2)) {
  const uri = pathToFileURL(resolve(file)).href; // each its own: the service keeps what it has parsed by this name
  const document = TextDocument.create(uri, "yaml", 1, readFileSync(file, "utf8"));
  const found = await validate(document, { actionsMetadataProvider, fileProvider: fileProvider(file) });
  for (const { range, message } of found) report(message, range.start);
}
process.exit(findings ? 1 : 0);
