/** What people's browsers need to keep a session safe. */
import { type ConfigIssue, issueAt } from './issue.ts';
import { type Tree, select, selectTexts } from './tree.ts';
import { isLoopbackHost } from './values.ts';

/** Session cookies are `Secure`, and the redirect URI must be one that the provider can know. */
export function checkPeople(root: Tree): ConfigIssue[] {
  const [oidc] = select(root, 'oidc');
  if (oidc === undefined) return [];
  const [url] = selectTexts(root, 'server.public_url');
  const [host] = selectTexts(root, 'server.host');
  if (url === undefined) {
    const isLocal = host === undefined || isLoopbackHost(host.text);
    return isLocal ? [] : [issueAt(oidc.keyPlace, oidc.path, 'people need a URL to come back to: set `server.public_url`')];
  }
  const parsed = URL.parse(url.text);
  if (parsed?.protocol !== 'http:' || isLoopbackHost(parsed.hostname)) return [];
  return [issueAt(url.node.place, url.path, 'must be https, since `oidc` gives people sessions')];
}
