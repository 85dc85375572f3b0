/** Ends a worker thread from outside by throwing inside it, through Node's inspector: the product itself has no such door. */
import type { Signalbox } from './signalbox.ts';

/** Start Signalbox with this environment; the inspector listens on a free port of loopback. */
export const INSPECTED = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

interface Message {
  id?: number;
  method?: string;
  params?: { sessionId?: string; workerInfo?: { title?: string } };
}

/** Throws in the first thread of the data plane that the inspector names; resolves once the order is given. */
export async function killWorker(signalbox: Signalbox): Promise<void> {
  const address = /Debugger listening on (ws:\S+)/.exec(signalbox.stderr())?.[1];
  if (address === undefined) throw new Error('start with INSPECTED');
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', reject, { once: true });
  });
  const sessionId = await new Promise<string>((resolve) => {
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as Message;
      const isWorker = message.params?.workerInfo?.title?.includes('worker-') === true;
      if (message.method === 'NodeWorker.attachedToWorker' && isWorker) resolve(message.params!.sessionId!);
    });
    socket.send(JSON.stringify({ id: 1, method: 'NodeWorker.enable', params: { waitForDebuggerOnStart: false } }));
  });
  const expression = "setTimeout(() => { throw new Error('ended by a test') }, 0)";
  const order = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  socket.send(JSON.stringify({ id: 2, method: 'NodeWorker.sendMessageToWorker', params: { sessionId, message: order } }));
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.close();
}
