/** As much of a browser as signing on needs: cookies by host, and redirects that can be watched. */
import { Agent, request } from 'undici';

export interface Page {
  url: string;
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export interface Browser {
  /** One request, no redirect followed; cookies of the host go along. */
  open: (
    url: string,
    more?: { method?: 'GET' | 'POST' | 'DELETE'; headers?: Record<string, string>; body?: string },
  ) => Promise<Page>;
  /** Follows redirects until a page is none, or `until` says to stop before a URL. */
  follow: (url: string, until?: (url: string) => boolean) => Promise<Page>;
  /** By host and port, then name. */
  cookies: Map<string, Map<string, string>>;
  /** `Set-Cookie` lines as they came, in order. */
  setCookies: string[];
}

const AGENT = new Agent({ connections: 8 });

export function createBrowser(): Browser {
  const cookies: Browser['cookies'] = new Map();
  const setCookies: string[] = [];
  const open: Browser['open'] = async (url, { method = 'GET', headers = {}, body } = {}) => {
    const { host } = new URL(url);
    const jar = cookies.get(host) ?? new Map<string, string>();
    cookies.set(host, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await request(url, {
      method,
      headers: { ...(cookie !== '' && { cookie }), ...headers },
      body: body ?? null,
      dispatcher: AGENT,
    });
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      setCookies.push(line);
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    return { url, status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };
  return {
    open,
    cookies,
    setCookies,
    async follow(url, until = () => false) {
      let page = await open(url);
      for (let hops = 0; page.status >= 300 && page.status < 400; hops++) {
        const next = new URL(String(page.headers['location']), page.url).href;
        if (until(next)) return page;
        if (hops > 10) throw new Error(`redirects without end at ${next}`);
        page = await open(next);
      }
      return page;
    },
  };
}
