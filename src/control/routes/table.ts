/** Every route of the control plane, resource by resource. A part adds its list here. */
import type { AdminRoute } from '../contract/route.ts';
import { auditRoutes } from './audit.ts';
import { requestRoutes } from './requests.ts';
import { statusRoutes } from './status.ts';
import { usageRoutes } from './usage.ts';

export const ADMIN_ROUTES: readonly AdminRoute[] = [...auditRoutes, ...requestRoutes, ...statusRoutes, ...usageRoutes];
