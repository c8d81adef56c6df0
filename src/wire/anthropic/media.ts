import { standardBase64 } from "../../conversation/base64.ts";
import type { Document, Image, Json, JsonObject, Text } from "../../conversation/conversation.ts";
import { imageFromBase64 } from "../../conversation/image.ts";
import type { Findings } from "../findings.ts";
import { isObject, stringOf, textOf } from "../json.ts";

/** The image of a block's `source`; `path` leads to the source. */
export function imageParts(
  source: Json | undefined,
  path: string,
  findings: Findings,
): (Image | Text)[] {
  const encoded = encodedData(source, path, findings);
  switch (encoded) {
    case "refused":
      return [];
    case "unknown":
      findings.notice("block-as-text", "image");
      return [{ type: "text", text: "[image]" }];
    default: {
      const image = imageFromBase64(encoded.data);
      if (image !== undefined) return [image];
      // Claude Code takes the images out of its history when it reads these words.
      findings.refuse(encoded.path, "Could not process image");
      return [];
    }
  }
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
    default: {
      const base64 = standardBase64(encoded.data);
      if (base64 === undefined) {
        findings.refuse(encoded.path, "The document is not valid base64");
        return [];
      }
      const mediaType = encoded.mediaType ?? "application/pdf";
      if (mediaType.startsWith("text/")) {
        return textPart(title, context, Buffer.from(base64, "base64").toString());
      }
      const document: Document = {
        type: "document",
        name: title ?? "document",
        mediaType,
        base64,
      };
      return [...textPart(context), document];
    }
  }
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
        const mediaType = /^\s*data:([^;,]+)/i.exec(url)?.[1];
        return { data: url, mediaType, path: `${path}.url.url` };
      }
      findings.refuse(`${path}.url`, "URLs are not fetched here; send the content as base64");
      return "refused";
    case "file":
      findings.refuse(`${path}.file`, "There is no Files API here; send the content as base64");
      return "refused";
    default:
      return "unknown";
  }
}

function textPart(...pieces: (string | undefined)[]): Text[] {
  const text = pieces.filter((piece) => piece !== undefined && piece !== "").join("\n\n");
  return text === "" ? [] : [{ type: "text", text }];
}
