import { standardBase64 } from "../conversation/base64.ts";
import type { Document, Image, Json, JsonObject, Text } from "../conversation/conversation.ts";
import { imageFromBase64 } from "../conversation/image.ts";
import { fail } from "../result.ts";
import type { Findings } from "./findings.ts";
import { overLimit } from "./image-limits.ts";
import { isObject, stringOf, textOf } from "./json.ts";

/** The image of a block's `source`; `path` leads to the source. */
export function imageParts(
  source: Json | undefined,
  path: string,
  findings: Findings,
): (Image | Text)[] {
  const url = isObject(source) && source["type"] === "url" ? stringOf(source["url"]) : "";
  if (WEB_URL.test(url)) return remoteImage(url, `${path}.url`, findings);
  const encoded = encodedData(source, path, findings);
  switch (encoded) {
    case "refused":
      return [];
    case "unknown":
      return placeholder("image", findings);
    default: {
      const image = imageFromBase64(encoded.data);
      if (image !== undefined) return withinLimits(image, encoded.path, findings);
      // Claude Code takes the images out of its history when it reads these words.
      findings.refuse(encoded.path, "Could not process image");
      return [];
    }
  }
}

/** The image at an OpenAI `image_url`, which is a URL or an object with one. `path` leads to it. */
export function imageUrlParts(
  value: Json | undefined,
  path: string,
  findings: Findings,
): (Image | Text)[] {
  const url = isObject(value) ? value["url"] : value;
  if (typeof url !== "string") return placeholder("image", findings);
  const at = isObject(value) ? `${path}.url` : path;
  if (WEB_URL.test(url)) return remoteImage(url, at, findings);
  const image = imageFromBase64(url);
  if (image !== undefined) return withinLimits(image, at, findings);
  findings.refuse(at, "Could not process image");
  return [];
}

function remoteImage(url: string, path: string, findings: Findings): Image[] {
  const found = findings.images?.(url) ?? fail(NOT_FETCHED);
  if (found.ok) return withinLimits(found.value, path, findings);
  findings.refuse(path, found.failure);
  return [];
}

function withinLimits(image: Image, path: string, findings: Findings): Image[] {
  const problem = overLimit(image);
  if (problem !== undefined) findings.refuse(path, problem);
  return [image];
}

/** An OpenAI file: base64 or a `data:` URL in `file_data` or `file_url`. `path` leads to the object with these. */
export function fileParts(
  file: Json | undefined,
  path: string,
  findings: Findings,
): (Text | Image | Document)[] {
  if (!isObject(file)) return placeholder("file", findings);
  const { file_data: bytes, file_url: url, file_id: id } = file;
  const data = textOf(bytes) ?? textOf(url);
  const at = `${path}.${textOf(bytes) === undefined ? "file_url" : "file_data"}`;
  if (data === undefined) {
    if (textOf(id) === undefined) return placeholder("file", findings);
    findings.refuse(`${path}.file_id`, NO_FILES);
    return [];
  }
  if (WEB_URL.test(data)) {
    findings.refuse(at, NOT_FETCHED);
    return [];
  }
  const mediaType = mediaTypeOf(data);
  if (mediaType?.startsWith("image/") === true) return imageUrlParts(data, at, findings);
  return fileContent({ data, mediaType, path: at }, textOf(file["filename"]), findings);
}

/** A document as text where it is text, else as a file. `path` leads to the block. */
export function documentParts(
  block: JsonObject,
  path: string,
  findings: Findings,
): (Text | Image | Document)[] {
  const { source } = block;
  const title = textOf(block["title"]);
  const context = textOf(block["context"]);
  const sourcePath = `${path}.source`;
  if (isObject(source) && source["type"] === "text") {
    return textPart(title, context, textOf(source["data"]));
  }
  if (isObject(source) && source["type"] === "content") {
    const { content } = source;
    if (typeof content === "string") return textPart(title, context, content);
    const inner = Array.isArray(content) ? content : [];
    return [
      ...textPart(title, context),
      ...inner.flatMap((part, index) => {
        if (!isObject(part)) return [];
        return part["type"] === "image"
          ? imageParts(part["source"], `${sourcePath}.content.${index}.image.source`, findings)
          : textPart(textOf(part["text"]));
      }),
    ];
  }
  const encoded = encodedData(source, sourcePath, findings);
  switch (encoded) {
    case "refused":
      return [];
    case "unknown":
      findings.notice("block-as-text", "document");
      return textPart("[document]", title, context);
    default:
      return fileContent(encoded, title, findings, context);
  }
}

function fileContent(
  { data, mediaType = "application/pdf", path }: Encoded,
  title: string | undefined,
  findings: Findings,
  context?: string,
): (Text | Document)[] {
  const base64 = standardBase64(data);
  if (base64 === undefined) {
    findings.refuse(path, "The document is not valid base64");
    return [];
  }
  if (mediaType.startsWith("text/")) {
    return textPart(title, context, Buffer.from(base64, "base64").toString());
  }
  return [...textPart(context), { type: "document", name: title ?? "document", mediaType, base64 }];
}

const NOT_FETCHED = "URLs are not fetched here; send the content as base64";
const NO_FILES = "There is no Files API here; send the content as base64";
const WEB_URL = /^\s*https?:/i;

function mediaTypeOf(dataUrl: string): string | undefined {
  return /^\s*data:([^;,]+)/i.exec(dataUrl)?.[1];
}

function placeholder(kind: string, findings: Findings): Text[] {
  findings.notice("block-as-text", kind);
  return [{ type: "text", text: `[${kind}]` }];
}

type Encoded = { data: string; mediaType: string | undefined; path: string };

/** Bytes given in the request itself: a `base64` source or a `data:` URL. */
function encodedData(
  source: Json | undefined,
  path: string,
  findings: Findings,
): Encoded | "refused" | "unknown" {
  if (!isObject(source)) return "unknown";
  const { data, url } = source;
  switch (stringOf(source["type"])) {
    case "base64":
      return {
        data: stringOf(data),
        mediaType: textOf(source["media_type"]),
        path: `${path}.base64.data`,
      };
    case "url":
      if (typeof url === "string" && /^\s*data:/i.test(url)) {
        return { data: url, mediaType: mediaTypeOf(url), path: `${path}.url.url` };
      }
      findings.refuse(`${path}.url`, NOT_FETCHED);
      return "refused";
    case "file":
      findings.refuse(`${path}.file`, NO_FILES);
      return "refused";
    default:
      return "unknown";
  }
}

function textPart(...pieces: (string | undefined)[]): Text[] {
  const text = pieces.filter((piece) => piece !== undefined && piece !== "").join("\n\n");
  return text === "" ? [] : [{ type: "text", text }];
}
