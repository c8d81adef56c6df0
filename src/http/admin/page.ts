import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import { z } from "zod";
import type { Document, Operation } from "./openapi.ts";

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem .8rem; border-radius: 6px; overflow-x: auto; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: 0 .8rem; }
summary { cursor: pointer; padding: .5rem 0; }
summary code { margin-right: .6rem; }
b.method { display: inline-block; width: 4.5rem; font: 600 12px ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; margin: .3rem 0 1rem; }
td { border-top: 1px solid var(--line); padding: .2rem .8rem .2rem 0; vertical-align: top; }
h4 { margin: .8rem 0 0; }
`;

const hash = createHash("sha256").update(STYLE).digest("base64");

/** One style, and nothing else: no script, no picture, no frame, no network. */
export const CONTENT_SECURITY_POLICY = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The document as one page for people, without a script. */
export function pageOf(document: Document) {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path: `/api/admin${path}`,
      method: method.toUpperCase(),
      operation,
    })),
  );
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${document.info.title}</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <h1>${document.info.title}</h1>
        <p>${prose(document.info.description)}</p>
        <pre>curl -H "x-api-key: $ADMIN_KEY" http://127.0.0.1:13000/api/admin/server</pre>
        <p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI ${document.openapi}).</p>
        ${document.tags.map(
          ({ name, description }) =>
            html`<h2 id="${name}">${name}</h2>
              <p>${prose(description)}</p>
              ${operations.filter(({ operation }) => operation.tags.includes(name)).map(section)}`,
        )}
      </body>
    </html>`;
}

function section({
  method,
  path,
  operation,
}: {
  method: string;
  path: string;
  operation: Operation;
}) {
  const { summary, description, parameters, requestBody, responses } = operation;
  const inputs = parameters.map(({ name, in: place, required, description: told, schema }) =>
    row(name, schema, `${place}${required ? ", required" : ""}`, told),
  );
  const body = requestBody?.content["application/json"];
  const answer = responses["200"]?.content["application/json"].schema;
  return html`<details>
    <summary><b class="method">${method}</b><code>${path}</code> ${summary}</summary>
    ${description === undefined ? "" : html`<p>${prose(description)}</p>`}
    ${inputs.length === 0 ? "" : part("Parameters", inputs)}
    ${body === undefined ? "" : part("Body", rowsOf(body.schema))}
    ${answer === undefined ? "" : part("Answer", rowsOf(answer))}
    <h4>Example</h4>
    <pre>${curl(method, path, body?.example)}</pre>
  </details>`;
}

/** What stands between backticks is code. */
function prose(text: string) {
  return text.split("`").map((piece, at) => (at % 2 === 1 ? html`<code>${piece}</code>` : piece));
}

function part(title: string, rows: unknown[]) {
  return html`<h4>${title}</h4>
    <table>
      ${rows}
    </table>`;
}

function curl(method: string, path: string, example: unknown): string {
  const lines = [
    `curl ${method === "GET" ? "" : `-X ${method} `}-H "x-api-key: $ADMIN_KEY"`,
    ...(example === undefined ? [] : [`-d '${JSON.stringify(example)}'`]),
    `http://127.0.0.1:13000${path}`,
  ];
  return lines.join(" \\\n  ");
}

const Node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    type: z.union([z.string(), z.array(z.string())]).optional(),
    description: z.string().optional(),
    default: z.unknown().optional(),
    enum: z.array(z.unknown()).optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    properties: z.record(z.string(), Node).optional(),
    required: z.array(z.string()).optional(),
    items: Node.optional(),
    anyOf: z.array(Node).optional(),
  }),
);
type Node = {
  type?: string | string[] | undefined;
  description?: string | undefined;
  default?: unknown;
  enum?: unknown[] | undefined;
  minimum?: number | undefined;
  maximum?: number | undefined;
  properties?: Record<string, Node> | undefined;
  required?: string[] | undefined;
  items?: Node | undefined;
  anyOf?: Node[] | undefined;
};

/** A row for every member, those of members included. */
function rowsOf(schema: unknown): unknown[] {
  const node = Node.parse(schema);
  const rows = inside("", node);
  return rows.length > 0 ? rows : [row("", schema, "", node.description)];
}

function inside(path: string, node: Node): unknown[] {
  const { properties = {}, items, anyOf = [], required = [] } = node;
  return [
    ...Object.entries(properties).flatMap(([name, member]) => {
      const here = path === "" ? name : `${path}.${name}`;
      const note = required.includes(name) ? "" : "optional";
      return [row(here, member, note, member.description), ...inside(here, member)];
    }),
    ...(items === undefined ? [] : inside(`${path}[]`, items)),
    ...anyOf.flatMap((one) => inside(path, one)),
  ];
}

function row(name: string, schema: unknown, note: string, description = "") {
  const node = Node.parse(schema);
  const facts = [
    typeOf(node),
    note,
    rangeOf(node),
    node.default === undefined ? "" : `default ${JSON.stringify(node.default)}`,
  ];
  return html`<tr>
    <td><code>${name}</code></td>
    <td>${facts.filter(Boolean).join(", ")}</td>
    <td>${prose(description)}</td>
  </tr>`;
}

function typeOf({ type, enum: values, anyOf, items }: Node): string {
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeOf))].join(" or ");
  if (type === "array") return `list of ${items === undefined ? "anything" : typeOf(items)}`;
  return [type ?? "anything"].flat().join(" or ");
}

function rangeOf({ minimum, maximum }: Node): string {
  if (minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) {
    return `${minimum} to ${maximum}`;
  }
  return "";
}
