import { createGenerateRoute } from "torchbridge/next";

export const POST = createGenerateRoute({ apiKey: process.env.TORCHBRIDGE_API_KEY });
