import { z } from "zod";
import { type Route, TAGS } from "./route.ts";

export type Schema = Record<string, unknown>;
type Parameter = {
  name: string;
  in: "path" | "query";
  required: boolean;
  description?: string;
  schema: Schema;
};
type Content = { "application/json": { schema: Schema; example?: unknown } };
export type Operation = {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  parameters: Parameter[];
  requestBody?: { required: true; content: Content };
  responses: Record<string, { description: string; content: Content }>;
};
export type Document = {
  openapi: "3.1.0";
  info: { title: string; version: string; description: string };
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  security: Record<string, string[]>[];
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, Schema> };
};

const DESCRIPTION =
  'Every call needs the admin key: `adminApiKey` of config.json, or else `apiKey`. Errors are `{"error": "…"}`. Times are ISO 8601 in UTC.';

/** The OpenAPI document of the routes. It holds nothing of the server that gives it. */
export function documentOf(routes: readonly Route[]): Document {
  const paths: Document["paths"] = {};
  for (const one of routes) {
    paths[one.path] = { ...paths[one.path], [one.method]: operationOf(one) };
  }
  return {
    openapi: "3.1.0",
    // Of the API: which version of the gateway runs is nobody's business without the key.
    info: { title: "kiro-proxy admin API", version: "1", description: DESCRIPTION },
    servers: [{ url: "/api/admin" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ apiKey: [] }, { bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
        bearer: { type: "http", scheme: "bearer" },
      },
    },
  };
}

function operationOf(route: Route): Operation {
  const { method, path, tag, summary, description, input, answer, example } = route;
  const { params, query, body } = input.shape;
  const parameters = [...parametersOf(params, "path"), ...parametersOf(query, "query")];
  const takes = parameters.length > 0 || body !== undefined;
  return {
    operationId: `${method}${path.replaceAll(/[^a-z]+(\w?)/gi, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    parameters,
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: contentOf(schemaOf(body, "input"), example),
      },
    }),
    responses: {
      "200": { description: "Done.", content: contentOf(schemaOf(answer, "output")) },
      ...(takes && { "400": error("The request can't be understood.") }),
      "401": error("The key is missing or wrong."),
      "403": error("No key is configured, so the API is closed."),
      ...(params !== undefined && { "404": error("There is no such thing.") }),
      "429": error("Too many wrong keys came from this address."),
      default: error("It could not be done; the answer says why."),
    },
  };
}

function parametersOf(schema: z.core.$ZodType | undefined, place: "path" | "query"): Parameter[] {
  if (schema === undefined) return [];
  const { properties, required } = Parameters.parse(schemaOf(schema, "input"));
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }));
}

const Parameters = z.object({
  properties: z.record(z.string(), z.looseObject({ description: z.string().optional() })),
  required: z.array(z.string()).default([]),
});

function schemaOf(schema: z.core.$ZodType, io: "input" | "output"): Schema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

const ERROR = schemaOf(z.object({ error: z.string() }), "output");

function error(description: string) {
  return { description, content: contentOf(ERROR) };
}

function contentOf(schema: Schema, example?: unknown): Content {
  return { "application/json": { schema, ...(example !== undefined && { example }) } };
}
