/** Every route of the control plane, resource by resource. A part adds its list here. */
import type { AdminRoute } from '../contract/route.ts';
import { agentRoutes } from '../agents/routes.ts';
import { auditRoutes } from './audit.ts';
import { bodyRoutes } from './bodies.ts';
import { documentRoutes } from '../config/document-routes.ts';
import { credentialRoutes, entryRoutes } from '../config/entry-routes.ts';
import { endUserRoutes } from './end-users.ts';
import { eventRoutes } from './events.ts';
import { groupRoutes } from './groups.ts';
import { keyRoutes } from './keys.ts';
import { meRoutes } from './me.ts';
import { memberRoutes } from './members.ts';
import { openApiRoutes } from './openapi.ts';
import { peopleRoutes } from '../people/routes.ts';
import { requestRoutes } from './requests.ts';
import { statusRoutes } from './status.ts';
import { tokenRoutes } from './tokens.ts';
import { usageRoutes } from './usage.ts';

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...agentRoutes,
  ...auditRoutes,
  ...bodyRoutes,
  ...credentialRoutes,
  ...documentRoutes,
  ...endUserRoutes,
  ...entryRoutes,
  ...eventRoutes,
  ...groupRoutes,
  ...keyRoutes,
  ...meRoutes,
  ...memberRoutes,
  ...openApiRoutes,
  ...peopleRoutes,
  ...requestRoutes,
  ...statusRoutes,
  ...tokenRoutes,
  ...usageRoutes,
];
