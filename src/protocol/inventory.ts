import * as v from 'valibot';

/** Slow facts about a host. Sizes in bytes, speed in Mbit/s. What could not be found out is absent. */
export const inventorySchema = v.object({
  os: v.optional(v.object({ distribution: v.string(), release: v.string(), kernel: v.string() })),
  virtualization: v.optional(v.string()),
  memoryTotal: v.optional(v.number()),
  memoryAvailable: v.optional(v.number()),
  fileSystems: v.array(v.object({ mount: v.string(), size: v.number(), available: v.number() })),
  links: v.array(
    v.object({ name: v.string(), speed: v.optional(v.number()), driver: v.optional(v.string()) }),
  ),
});
export type Inventory = v.InferOutput<typeof inventorySchema>;
