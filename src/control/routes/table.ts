/** Every route of the control plane, resource by resource. A part adds its list here. */
import type { AdminRoute } from '../contract/route.ts';
import { statusRoutes } from './status.ts';

export const ADMIN_ROUTES: readonly AdminRoute[] = [...statusRoutes];
