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

Put one into ${credentialsPath} and start again:
  - an API key of Kiro (recommended):  {"kiroApiKey": "ksk_…"}
    or without a file:  KIRO_API_KEY=ksk_… kiro-proxy
  - a log-in of the Kiro IDE: copy accessToken, refreshToken, expiresAt, authMethod and profileArn
    from ~/.aws/sso/cache/kiro-auth-token.json; a Builder ID or company log-in also needs clientId
    and clientSecret, from the file beside it that its clientIdHash names.

Commands that do this for you (login, import) are not built yet.
To see the gateway work without an account:  kiro-proxy --demo
`;
}
