// Generated from openapi.json by "npm run generate"; do not edit.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @example {
         *       "requests": [
         *         {
         *           "max_length": 100,
         *           "prompt": "Once upon a time"
         *         },
         *         {
         *           "prompt": "The fox"
         *         }
         *       ]
         *     }
         */
        BatchRequest: {
            requests: components["schemas"]["GenerationRequest"][];
        };
        BatchResponse: {
            /** @description One for each request, in the same order: an answer, or why there is none. */
            results: (components["schemas"]["GenerationResponse"] | components["schemas"]["Problem"])[];
        };
        /** @description Counts of the pairs of requests, one on each version, that could be compared. */
        CanaryPairs: {
            pairs: number;
            /** @description The number of pairs in which the canary took more than `max_slowdown` times as long. */
            slower: number;
        };
        /** @description One version of the two. */
        CanarySide: {
            version: string;
            /** @description The number of requests that ended by the version's doing. */
            requests: number;
            failures: number;
        };
        CanaryVerdict: {
            id: string;
            model: string;
            verdict: components["schemas"]["Decision"];
            /** @description The criteria for which there is no decision yet. */
            undecided: string[];
            /**
             * @description Whether all gateways with one Redis are counted (`service`), or this one alone (`gateway`).
             * @enum {string}
             */
            scope: "service" | "gateway";
            /** @description The number of gateways that are counted. */
            gateways: number;
            canary: components["schemas"]["CanarySide"];
            control: components["schemas"]["CanarySide"];
            /** @description The comparison of the times to the first token; null if times are not compared. */
            first_token: components["schemas"]["CanaryPairs"] | null;
            per_token: components["schemas"]["CanaryPairs"] | null;
            margin: number;
            min_requests: number;
            max_slowdown: number | null;
            alpha: number;
        };
        ChoiceOutput: {
            /** @description The text is one of these. */
            choice: string[];
        };
        /** @enum {string} */
        Decision: "promote" | "give up" | "go on";
        DeltaEvent: {
            /**
             * @default delta
             * @constant
             */
            type: "delta";
            /** @description The number of the delta in its stream, from 0. */
            index: number;
            text: string;
            /**
             * @description How likely each token since the last delta was; null if the request does not ask for it.
             * @default null
             */
            logprobs: components["schemas"]["TokenLogprob"][] | null;
            /**
             * @description What the model has written of calls since the last delta; null if the chat has no tools.
             * @default null
             */
            tool_calls: components["schemas"]["ToolCallDelta"][] | null;
        };
        DoneEvent: {
            /**
             * @default done
             * @constant
             */
            type: "done";
            response: components["schemas"]["GenerationResponse"];
        };
        /** @enum {string} */
        ErrorCode: "invalid_request" | "prompt_too_long" | "malformed_json" | "malformed_http" | "unauthorized" | "forbidden" | "not_found" | "model_not_found" | "version_not_found" | "method_not_allowed" | "request_timeout" | "conflict" | "payload_too_large" | "address_too_long" | "unsupported_media_type" | "rate_limited" | "headers_too_large" | "cancelled" | "internal" | "worker_died" | "generation_failed" | "upstream_protocol" | "overloaded" | "model_not_ready" | "upstream_unavailable" | "shutting_down" | "out_of_memory" | "deadline_exceeded";
        ErrorEvent: {
            /**
             * @default error
             * @constant
             */
            type: "error";
            problem: components["schemas"]["Problem"];
        };
        FieldError: {
            /** @description Path of the field, its parts joined by dots. */
            field: string;
            message: string;
        };
        /**
         * @example {
         *       "max_length": 100,
         *       "prompt": "Once upon a time"
         *     }
         */
        GenerationRequest: {
            prompt: string;
            /**
             * @description Most tokens to generate, the prompt not counted.
             * @default 100
             */
            max_length?: number | undefined;
            /**
             * @description 0 always takes the likeliest token.
             * @default 0.7
             */
            temperature?: number | undefined;
            /** @description Sample among the likeliest tokens that together reach this probability. */
            top_p?: (number | null) | undefined;
            /** @description Sample among this many likeliest tokens. */
            top_k?: (number | null) | undefined;
            /** @description Above 1 makes tokens that were already used less likely. */
            repetition_penalty?: (number | null) | undefined;
            /** @description Sample among tokens of at least this part of the likeliest's probability. */
            min_p?: (number | null) | undefined;
            /**
             * @description Taken off a token's logit for each time that the answer has it already.
             * @default 0
             */
            frequency_penalty?: number | undefined;
            /**
             * @description Taken off a token's logit once, if the answer has it already.
             * @default 0
             */
            presence_penalty?: number | undefined;
            /**
             * @description Added to the logits of tokens, by their ids.
             * @default {}
             */
            logit_bias?: {
                [key: string]: number | undefined;
            } | undefined;
            /**
             * @description Generation ends before any of these. At most 4,000 characters in all.
             * @default []
             */
            stop?: (string | string[]) | undefined;
            /** @description The same seed gives the same answer. */
            seed?: (number | null) | undefined;
            /**
             * @description Fewest tokens to generate, unless a text of `stop` comes first.
             * @default 0
             */
            min_length?: number | undefined;
            /**
             * @description Whether to go on where the model would end its answer.
             * @default false
             */
            ignore_eos?: boolean | undefined;
            /** @description Tell how likely each token was, and this many of the likeliest ones in its place. */
            logprobs?: (number | null) | undefined;
            /** @description Tell how likely each token of the prompt was, and this many of the likeliest ones in its place. */
            prompt_logprobs?: (number | null) | undefined;
            /** @description What the text has to be; any text when absent. */
            output?: ((components["schemas"]["JsonOutput"] | components["schemas"]["RegexOutput"] | components["schemas"]["ChoiceOutput"]) | null) | undefined;
            /** @description The gateway's default model when absent. */
            model?: (string | null) | undefined;
            /** @description The model's default version when absent. */
            model_version?: (string | null) | undefined;
        };
        GenerationResponse: {
            text: string;
            tokens_generated: number;
            /** @description Seconds from the start of prompt processing to the last token. */
            generation_time: number;
            id: string;
            model: string;
            model_version: string;
            /** @description The archive's digest: no two archives with other contents have the same. */
            model_digest: string;
            /** @enum {string} */
            finish_reason: "stop" | "length" | "stop_sequence" | "complete" | "tool_calls";
            prompt_tokens: number;
            /** @description Seconds before prompt processing started. */
            queue_time: number;
            /** @description Seconds from the gateway's receipt to the first text. */
            time_to_first_token: number;
            /**
             * @description Whether the model ran for another, equal request.
             * @default false
             */
            cached: boolean;
            /**
             * @description How likely each token of the text was; null if the request does not ask for it.
             * @default null
             */
            logprobs: components["schemas"]["TokenLogprob"][] | null;
            /**
             * @description The calls of tools that the model wrote; null if the chat has no tools.
             * @default null
             */
            tool_calls: components["schemas"]["ToolCall"][] | null;
            /**
             * @description How likely each token of the prompt was; null if the request does not ask for it.
             * @default null
             */
            prompt_logprobs: components["schemas"]["PromptLogprob"][] | null;
        };
        Health: {
            /**
             * @default ok
             * @constant
             */
            status: "ok";
        };
        JsonOutput: {
            /** @description JSON schema, draft 2020-12. What cannot be kept is refused, by its name, before there is a token. At most 65,536 characters. */
            schema: {
                [key: string]: unknown;
            };
        };
        Model: {
            name: string;
            default_version: string;
            versions: components["schemas"]["ModelVersion"][];
        };
        ModelList: {
            models: components["schemas"]["Model"][];
        };
        ModelVersion: {
            version: string;
            is_default: boolean;
            ready_workers: number;
            /**
             * @default {
             *       "temperature": 1
             *     }
             */
            sampling_defaults: components["schemas"]["SamplingDefaults"];
        };
        /** @description A failure as RFC 9457 problem details. */
        Problem: {
            type: string;
            title: string;
            status: number;
            detail: string;
            code: components["schemas"]["ErrorCode"];
            /** @default null */
            request_id: string | null;
            /** @default false */
            retryable: boolean;
            /**
             * @description Seconds after which a retry is worth it.
             * @default null
             */
            retry_after: number | null;
            /** @default [] */
            errors: components["schemas"]["FieldError"][];
        };
        PromptLogprob: {
            id: number;
            /** @description Its text; U+FFFD stands for bytes that are no whole character. */
            token: string;
            /** @description What it adds to the text, in UTF-8: several tokens may make up a character together, and special tokens add nothing. */
            bytes: number[];
            /** @description Natural logarithm of its probability by the model's own logits; null for the first token. */
            logprob: number | null;
            /** @description The likeliest tokens in its place, the likeliest first. */
            top: components["schemas"]["TopLogprob"][];
        };
        RegexOutput: {
            /** @description A pattern of the whole text, by Rust's regex crate: without look-around and back-references. */
            regex: string;
        };
        /** @description What /v1 takes where a request is silent: what the model's authors recommend in generation_config.json. */
        SamplingDefaults: {
            /**
             * @description 1, the model's own distribution, where they say nothing.
             * @default 1
             */
            temperature: number;
            /** @description null: no such filter, as with the others. */
            top_p: number | null;
            top_k: number | null;
            repetition_penalty: number | null;
        };
        StartEvent: {
            /**
             * @default start
             * @constant
             */
            type: "start";
            id: string;
            model: string;
            model_version: string;
            model_digest: string;
            prompt_tokens: number;
            /**
             * @description The seed that the answer is drawn by: the request's, or one that the gateway has chosen.
             * @default null
             */
            seed: number | null;
        };
        StreamEvent: components["schemas"]["StartEvent"] | components["schemas"]["DeltaEvent"] | components["schemas"]["DoneEvent"] | components["schemas"]["ErrorEvent"];
        TokenLogprob: {
            id: number;
            /** @description Its text; U+FFFD stands for bytes that are no whole character. */
            token: string;
            /** @description What it adds to the text, in UTF-8: several tokens may make up a character together, and special tokens add nothing. */
            bytes: number[];
            /** @description Natural logarithm of its probability by the model's own logits. */
            logprob: number;
            /** @description The likeliest tokens in its place, the likeliest first. */
            top: components["schemas"]["TopLogprob"][];
        };
        /** @description What the model wrote of a call of a function. */
        ToolCall: {
            id: string;
            name: string;
            /** @description JSON, valid by the function's parameters unless the answer ends by `length`. */
            arguments: string;
        };
        /** @description More of a call's arguments; its id and its name come first. */
        ToolCallDelta: {
            /** @description The number of the call in its answer, from 0. */
            index: number;
            id: string | null;
            name: string | null;
            arguments: string;
        };
        TopLogprob: {
            id: number;
            /** @description Its text; U+FFFD stands for bytes that are no whole character. */
            token: string;
            /** @description What it adds to the text, in UTF-8: several tokens may make up a character together, and special tokens add nothing. */
            bytes: number[];
            /** @description Natural logarithm of its probability by the model's own logits. */
            logprob: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type BatchRequest = components['schemas']['BatchRequest'];
export type BatchResponse = components['schemas']['BatchResponse'];
export type CanaryPairs = components['schemas']['CanaryPairs'];
export type CanarySide = components['schemas']['CanarySide'];
export type CanaryVerdict = components['schemas']['CanaryVerdict'];
export type ChoiceOutput = components['schemas']['ChoiceOutput'];
export type Decision = components['schemas']['Decision'];
export type DeltaEvent = components['schemas']['DeltaEvent'];
export type DoneEvent = components['schemas']['DoneEvent'];
export type ErrorCode = components['schemas']['ErrorCode'];
export type ErrorEvent = components['schemas']['ErrorEvent'];
export type FieldError = components['schemas']['FieldError'];
export type GenerationRequest = components['schemas']['GenerationRequest'];
export type GenerationResponse = components['schemas']['GenerationResponse'];
export type Health = components['schemas']['Health'];
export type JsonOutput = components['schemas']['JsonOutput'];
export type Model = components['schemas']['Model'];
export type ModelList = components['schemas']['ModelList'];
export type ModelVersion = components['schemas']['ModelVersion'];
export type Problem = components['schemas']['Problem'];
export type PromptLogprob = components['schemas']['PromptLogprob'];
export type RegexOutput = components['schemas']['RegexOutput'];
export type SamplingDefaults = components['schemas']['SamplingDefaults'];
export type StartEvent = components['schemas']['StartEvent'];
export type StreamEvent = components['schemas']['StreamEvent'];
export type TokenLogprob = components['schemas']['TokenLogprob'];
export type ToolCall = components['schemas']['ToolCall'];
export type ToolCallDelta = components['schemas']['ToolCallDelta'];
export type TopLogprob = components['schemas']['TopLogprob'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
