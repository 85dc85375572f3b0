import * as z from 'zod';

import { readRoute } from '../contract/route.ts';

export const openApiRoutes = [
  readRoute({
    path: '/admin/v1/openapi.json',
    summary: 'This API as an OpenAPI 3.1 document',
    tag: 'status',
    access: { on: 'anyone' },
    answer: { status: 200, schema: z.record(z.string(), z.unknown()) },
    handle: async ({ services }) => ({ body: await services.openApi() }),
  }),
];
