import { z } from "zod";

/** A pet that looks for a home. What the model fills in is valid by this, and the form has its fields. */
export const Pet = z.object({
  name: z.string().min(1).max(30),
  kind: z.enum(["dog", "cat", "rabbit", "bird", "other"]),
  age: z.int().min(0).max(40),
  likes_children: z.boolean(),
  about: z.string().max(300),
});

export type Pet = z.infer<typeof Pet>;
