/** What a worker asks main for, each question with a number, and who waits for which answer. */
import type { AgentQuestion, AskAgents } from '../core/agent.ts';
import { GatewayError } from '../core/errors.ts';
import type { VouchedPerson } from '../core/person.ts';
import type { PriceState } from '../core/price.ts';
import type { EndUserPlace } from '../policy/end-user-places.ts';
import type { AdmitPerson, AdmittedPerson } from '../policy/jwt.ts';
import { batched } from './batched.ts';
import type { AgentAsked, PriceRequest, ToMain, ToWorker } from './messages.ts';

export interface MainDesk {
  askPrice: (request: PriceRequest) => Promise<PriceState>;
  admitPerson: AdmitPerson;
  placeEndUser: (endUser: string) => Promise<EndUserPlace>;
  askAgents: AskAgents;
  answered: {
    price: (message: Extract<ToWorker, { type: 'price' }>) => void;
    end_user: (message: Extract<ToWorker, { type: 'end_user' }>) => void;
    person: (message: Extract<ToWorker, { type: 'person' }>) => void;
    agent_answers: (message: Extract<ToWorker, { type: 'agent_answers' }>) => void;
  };
}

export function createMainDesk(post: (message: ToMain) => void): MainDesk {
  const prices = createQueue<PriceRequest, PriceState>((id, request) => post({ type: 'price_request', id, request }));
  const people = createQueue<VouchedPerson, AdmittedPerson | undefined>((id, person) =>
    post({ type: 'person_request', id, person }),
  );
  const endUsers = createQueue<string, EndUserPlace>((id, endUser) => post({ type: 'end_user_request', id, endUser }));
  const askMain = batched<AgentAsked>((questions) => post({ type: 'agent_questions', questions }));
  const agents = createQueue<AgentQuestion, unknown>((id, question) => askMain({ id, question }));
  return {
    askPrice: prices.ask,
    admitPerson: people.ask,
    placeEndUser: endUsers.ask,
    askAgents: agents.ask,
    answered: {
      price: ({ id, price }) => prices.answer(id, price),
      end_user: ({ id, place }) =>
        endUsers.answer(id, place ?? Promise.reject(new Error('main cannot tell what this end user has spent'))),
      person: ({ id, admitted, error }) =>
        people.answer(id, error === true ? Promise.reject(new Error('main cannot tell who that is')) : admitted),
      agent_answers({ answers }) {
        for (const { id, answer, error } of answers) agents.answer(id, error === true ? Promise.reject(storeDown()) : answer);
      },
    },
  };
}

/** Main has all else at hand. */
function storeDown(): GatewayError {
  const message = 'What is known of tasks cannot be looked up now';
  return new GatewayError('store_down', { details: { message, retryAfterS: 5 } });
}

interface Queue<Question, Answer> {
  ask: (question: Question) => Promise<Answer>;
  answer: (id: number, answer: Answer | Promise<never>) => void;
}

function createQueue<Question, Answer>(post: (id: number, question: Question) => void): Queue<Question, Answer> {
  const waiting = new Map<number, (answer: Answer | Promise<never>) => void>();
  let lastId = 0;
  return {
    ask: (question) =>
      new Promise((resolve) => {
        const id = ++lastId;
        waiting.set(id, resolve);
        post(id, question);
      }),
    answer: (id, answer) => {
      waiting.get(id)?.(answer);
      waiting.delete(id);
    },
  };
}
