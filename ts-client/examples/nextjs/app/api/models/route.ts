import { isApiError, PythonClient } from "torchbridge";

export const dynamic = "force-dynamic";

/** The models and their versions, for the page's menus. */
export async function GET(request: Request): Promise<Response> {
  const client = new PythonClient({ apiKey: process.env.TORCHBRIDGE_API_KEY });
  try {
    return Response.json(await client.models({ signal: request.signal }));
  } catch (error) {
    const status = isApiError(error) ? error.status : 503;
    return Response.json(isApiError(error) ? error.problem : { models: [] }, { status });
  }
}
