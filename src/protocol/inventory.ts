import * as v from 'valibot';
import { finiteSchema } from './schema.ts';

/** Slow facts about a host. Sizes in bytes, speed in Mbit/s. What could not be found out is absent. */
export const inventorySchema = v.object({
  os: v.optional(v.object({ distribution: v.string(), release: v.string(), kernel: v.string() })),
  virtualization: v.optional(v.string()),
  memoryTotal: v.optional(finiteSchema),
  memoryAvailable: v.optional(finiteSchema),
  fileSystems: v.array(v.object({ mount: v.string(), size: finiteSchema, available: finiteSchema })),
  links: v.array(
    v.object({ name: v.string(), speed: v.optional(finiteSchema), driver: v.optional(v.string()) }),
  ),
});
export type Inventory = v.InferOutput<typeof inventorySchema>;
