// The OpenAI Node client with API keys of a Kvasir gateway (tests/clients/keys.py starts it):
// keys_client.mjs URL KEY NARROW_KEY, as keys_client.py has them. Prints one line; exits with 1 when a check fails.
import OpenAI from "openai";
import { VERSION } from "openai/version";

const [url, key, narrowKey] = process.argv.slice(2);
const client = (apiKey) => new OpenAI({ baseURL: url + "/v1", apiKey, maxRetries: 0 });
const question = { model: "sim", max_tokens: 4, messages: [{ role: "user", content: "hi" }] };

function require(condition, what) {
  if (condition) return;
  console.error("FAILED: " + what);
  process.exit(1);
}

async function fails(kind, ask) {
  try {
    await ask();
  } catch (problem) {
    require(problem instanceof kind, `${kind.name}, not ${problem}`);
    return problem;
  }
  require(false, kind.name + " is thrown");
}

const answer = await client(key).chat.completions.create(question);
require(answer.usage.completion_tokens === 4, "an answer");
let events = 0;
for await (const event of await client(key).chat.completions.create({ ...question, stream: true })) events += event.choices.length;
require(events >= 4, `a stream, of ${events} events`);
await fails(OpenAI.AuthenticationError, () => client("sk-nobody").models.list());
await client(narrowKey).chat.completions.create(question);
const limit = await fails(OpenAI.RateLimitError, () => client(narrowKey).chat.completions.create({ ...question, stream: true }));
require(Number(limit.headers.get("retry-after")) > 0, "Retry-After");
console.log(`openai for Node ${VERSION}: an answer, a stream, 401, 429`);
