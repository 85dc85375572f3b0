/** Every route of the control plane, resource by resource. A part adds its list here. */
import type { AdminRoute } from '../contract/route.ts';
import { auditRoutes } from './audit.ts';
import { endUserRoutes } from './end-users.ts';
import { groupRoutes } from './groups.ts';
import { keyRoutes } from './keys.ts';
import { meRoutes } from './me.ts';
import { memberRoutes } from './members.ts';
import { openApiRoutes } from './openapi.ts';
import { requestRoutes } from './requests.ts';
import { statusRoutes } from './status.ts';
import { tokenRoutes } from './tokens.ts';
import { usageRoutes } from './usage.ts';

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...auditRoutes,
  ...endUserRoutes,
  ...groupRoutes,
  ...keyRoutes,
  ...meRoutes,
  ...memberRoutes,
  ...openApiRoutes,
  ...requestRoutes,
  ...statusRoutes,
  ...tokenRoutes,
  ...usageRoutes,
];
