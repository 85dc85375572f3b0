/** docs/admin-api.md: who may what, by hand; every route, from the table that routes. */
import { ADMIN_ROUTES } from '../src/control/routes/table.ts';
import { accessOf } from '../src/control/openapi.ts';
import { code, table } from './markdown.mjs';

const INTRO = `# The admin API

Everything that manages Signalbox is JSON over HTTP under \`/admin/v1\`, on the public port. \`GET /admin/v1/openapi.json\` is the OpenAPI 3.1 document of the running
version; this page and that document are made from the table that routes and validates.

\`\`\`sh
curl -X POST $SIGNALBOX_URL/admin/v1/keys -H "Authorization: Bearer $SIGNALBOX_ADMIN_KEY" -H 'Content-Type: application/json' \\
  -d '{"name": "ci", "team": "team_…", "models": ["gpt-4o"], "budget": {"limit_usd": 5, "window": "day"}}'
\`\`\`

## Who may
The admin key may everything. People come with a management token (\`sk-sb-admin-…\`) or a session, and may what their roles say at that moment:

| role | held | may |
|---|---|---|
| \`root\` | by the admin key | everything |
| \`admin\` | in the installation | everything |
| \`viewer\` | in the installation | read everything |
| \`org_admin\` | in an organisation | its teams, their members, service accounts and keys; their usage and requests |
| \`team_admin\` | in a team | its members, service accounts and keys; its usage and requests |
| \`member\` | in a team or organisation | see it, and the team's usage |
| \`owner\` | of one's own things | mint, rotate, block and remove one's own keys and tokens; see one's own requests |

- Nobody gives what is not his: what somebody sets within a team or organisation stays within its models, agents and budgets. Whoever leads one may rename it, not widen it.
- Some fields are closed to some roles: members choose neither tags nor priority; \`"priority": "high"\` is for admins. A field that is not allowed is a 403 that names it.
- What somebody may not see answers like what does not exist: 404 in a path, 400 in a body.
- Keys for models manage nothing; the admin key and management tokens call no models.

## How it speaks
- Names are snake_case, times ISO 8601 in UTC, money USD as numbers (in CSV as exact decimals). Unknown fields are errors.
- What the data plane recorded is shown as it was recorded, in camelCase: \`detail\` of a request, \`details\` of an event.
- Lists answer \`{"data": […], "next": "…"}\`; hand \`next\` in as \`after\` for the next page.
- PATCH leaves alone what it does not name; \`null\` takes an optional field away. What it names it replaces whole: \`limits\` with all its members, \`budget\` and \`budgets\` all budgets, a list every item.
- A secret is in the answer that mints it, and nowhere else.
- People who are no admins of the installation make at most 120 changes a minute; beyond that 429 with \`Retry-After\`.
- A change that is answered with 200 or 201 is in force in every worker; 202: it is stored, and a worker is late with it.
- Bodies are JSON of at most 1 MiB, no object in it of more than 10,000 members, and announce their \`content-length\`. An id with other signs than letters, digits and \`.-_~\` is percent-encoded in a path (\`my%20key%2F1\`).
- Errors: \`{"error": {"message", "type", "param", "code", "issues"}}\`; \`issues\` names every field that is wrong. Without a credential everything under \`/admin\` is 401.

## Routes
Several roles: any of them, held where the thing stands.
`;

const REPORTS = `
One route is answered by the workers themselves, since only they plan: \`POST /admin/v1/route/explain\`, with the admin key, tells where a request would go and why ([routing.md](routing.md#why-a-request-went-where-it-went)).

## Usage reports
\`\`\`sh
curl "$SIGNALBOX_URL/admin/v1/usage?by=team,model,day&since=2027-01-01&until=2027-02-01&format=csv" \\
  -H "Authorization: Bearer $SIGNALBOX_ADMIN_KEY"
signalbox usage --by key,model --since 2027-01-01 --csv
\`\`\`
- \`by\` takes up to two of \`key\`, \`principal\` (people and service accounts), \`team\`, \`org\`, \`tag\`, \`model\`, \`provider\`, \`end_user\`, and \`hour\` or \`day\`. Each of the eight is a
  filter, too, and may be repeated: \`team=team_…&team=team_…\`.
- \`since\` and \`until\` are dates, or dates and times with a zone; absent: the last 30 days. Hours and days are those of UTC.
- Keys of the API, people, teams and organisations stand there by their ids, keys of the file by their names. An empty one: usage that belongs to none of that kind, such as calls without a valid key. Calls
  that name no end user are in no report by \`end_user\`.
- \`refused\` counts what Signalbox itself refused, \`failed\` what the upstream did not answer well, \`estimated_usd\` the part of \`spent_usd\` that rests on our own count.
- At most \`limit\` rows (absent: 1,000, as CSV 10,000; 10,000 at most); where there are more the JSON says \`"cut": true\`, and CSV has \`x-signalbox-cut: true\` in its head.
- \`GET /requests\` lists single calls, by \`key\`, \`principal\`, \`team\`, \`org\`, \`end_user\`, \`model\`, \`provider\`, \`outcome\`, \`status\`, \`request_id\`, \`since\`, \`until\`.
- What is spent of a budget in its present window stands beside it wherever its owner is shown: \`budgets[].spent_usd\`.
`;

const AUDIT = `
## The audit log
Every change is in the log before it is made (\`begun\`), and what came of it before it is answered (\`done\` with before and after, or \`failed\`). If the log cannot be
written, the change is refused with 503. A \`begun\` without a later row: the process ended in between, or the end could not be written.

Each row carries an HMAC over the row before it and itself, under a key derived from this installation's secret. \`GET /admin/v1/audit/verify\`, or
\`signalbox audit verify\` while no server runs (with the server's \`--data\`, \`--config\` and environment), finds every row that was changed, inserted, reordered or taken from the middle by somebody without that secret. What it
cannot find: rows cut off at the end, and a history written anew by somebody who has the secret. For that, keep heads of the log elsewhere: the server writes one into its
own log every 1,000 rows and every hour (\`audit log checkpoint\`), and \`--checkpoint seq:hash\` holds the audit log against it.
`;

export function adminPage() {
  const sections = [...new Set(ADMIN_ROUTES.map(({ tag }) => tag))].map((tag) => {
    const rows = ADMIN_ROUTES.filter((route) => route.tag === tag).map((route) => [
      code(`${route.method} ${route.path.replace('/admin/v1', '')}`),
      `${route.summary}.`,
      accessOf(route.access),
    ]);
    return `### ${tag}\n${table(['Route', 'What', 'Who'], rows)}\n`;
  });
  return `${INTRO}\n${sections.join('\n')}${REPORTS}${AUDIT}`;
}
