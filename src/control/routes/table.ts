/** Every route of the control plane, resource by resource. A part adds its list here. */
import type { AdminRoute } from '../contract/route.ts';
import { tokenRoutes } from './tokens.ts';
import { memberRoutes } from './members.ts';
import { meRoutes } from './me.ts';
import { keyRoutes } from './keys.ts';
import { groupRoutes } from './groups.ts';
import { endUserRoutes } from './end-users.ts';
import { auditRoutes } from './audit.ts';
import { requestRoutes } from './requests.ts';
import { statusRoutes } from './status.ts';
import { usageRoutes } from './usage.ts';

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...tokenRoutes,
  ...memberRoutes,
  ...meRoutes,
  ...keyRoutes,
  ...groupRoutes,
  ...endUserRoutes,
  ...auditRoutes,
  ...requestRoutes,
  ...statusRoutes,
  ...usageRoutes,
];
