import { z } from "zod";

const Arguments = z.object({
  time_zone: z.enum([
    "Africa/Cairo",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Europe/London",
    "Europe/Rome",
  ]),
});

/** As the gateway offers it to the model. Its calls are valid by this schema, whatever the model would rather write. */
export const LOCAL_TIME = {
  type: "function",
  function: {
    name: "local_time",
    description: "Tells the date and the time of day in a time zone.",
    parameters: z.toJSONSchema(Arguments),
  },
} as const;

/** What the page answers to a call of it. */
export function localTime(input: unknown): string {
  const { time_zone: timeZone } = Arguments.parse(input);
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "short", timeZone }).format();
}
