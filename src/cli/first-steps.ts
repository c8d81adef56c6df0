/** What a newcomer reads when the server runs without credentials, or on the demo. */
export function firstSteps(at: { url: string; credentialsPath: string; demo: boolean }): string {
  return at.demo ? demo(at.url) : withoutCredentials(at);
}

function demo(url: string): string {
  return `
DEMO: no Kiro account is used, and every answer is made up by this program.

Try it:
  curl -N ${url}/v1/messages -H 'content-type: application/json' -d '{
    "model": "claude-sonnet-4-5", "max_tokens": 500, "stream": true,
    "messages": [{"role": "user", "content": "Hello!"}]}'

Or point Claude Code at it:
  ANTHROPIC_BASE_URL=${url} ANTHROPIC_AUTH_TOKEN=demo claude
`;
}

function withoutCredentials({
  url,
  credentialsPath,
}: {
  url: string;
  credentialsPath: string;
}): string {
  return `
Running on ${url}, but there are no Kiro credentials yet, so every request is refused.

Get one, with the -config and -credentials of this server if it has any; no restart is needed:
  kiro-proxy login      with a Builder ID; kiro-proxy help login tells of Google, GitHub, companies
  kiro-proxy import     from the Kiro IDE or kiro-cli on this machine

Or use an official API key of Kiro (recommended): KIRO_API_KEY=ksk_… kiro-proxy, or as
  {"kiroApiKey": "ksk_…"}  in ${credentialsPath}

To see the gateway work without an account:  kiro-proxy --demo
`;
}
