/** What a worker asks main for, each question with a number, and who waits for which answer. */
import type { VouchedPerson } from '../core/person.ts';
import type { PriceState } from '../core/price.ts';
import type { AdmitPerson, AdmittedPerson } from '../policy/jwt.ts';
import type { PriceRequest, ToMain, ToWorker } from './messages.ts';

export interface MainDesk {
  askPrice: (request: PriceRequest) => Promise<PriceState>;
  admitPerson: AdmitPerson;
  answered: {
    price: (message: Extract<ToWorker, { type: 'price' }>) => void;
    person: (message: Extract<ToWorker, { type: 'person' }>) => void;
  };
}

export function createMainDesk(post: (message: ToMain) => void): MainDesk {
  const prices = createQueue<PriceRequest, PriceState>((id, request) => post({ type: 'price_request', id, request }));
  const people = createQueue<VouchedPerson, AdmittedPerson | undefined>((id, person) =>
    post({ type: 'person_request', id, person }),
  );
  return {
    askPrice: prices.ask,
    admitPerson: people.ask,
    answered: {
      price: ({ id, price }) => prices.answer(id, price),
      person: ({ id, admitted, error }) =>
        people.answer(id, error === true ? Promise.reject(new Error('main cannot tell who that is')) : admitted),
    },
  };
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
