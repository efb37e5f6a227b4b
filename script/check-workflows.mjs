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

const ACTIONS_IN_USE = parse(readFileSync(new URL("actions-in-use.yml", import.meta.url), "utf8"));

const actionsMetadataProvider = {
  async fetchActionMetadata({ owner, name, path, ref }) {
    if (`${owner}/${name}` === OWN_ACTION) return parse(readFileSync("action.yml", "utf8"));
    const known = ACTIONS_IN_USE[`${join(owner, name, path ?? "")}@${ref}`];
    return known && { inputs: Object.fromEntries(known.inputs.split(" ").map((input) => [input, {}])) };
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
