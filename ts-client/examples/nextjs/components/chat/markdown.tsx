import { memo, type ReactNode } from "react";
import ReactMarkdown from "react-markdown";
import remarkGfm from "remark-gfm";
import styles from "./chat.module.css";

const PLUGINS = [remarkGfm];
// An address that a model wrote is loaded when a person follows it, and not before.
const NOT_SHOWN = ["img"];

/** Also of a text that is not at its end. HTML in it stays text. */
export const Markdown = memo(function Markdown({ text }: { readonly text: string }) {
  return (
    <div className={styles.markdown}>
      <ReactMarkdown remarkPlugins={PLUGINS} disallowedElements={NOT_SHOWN} components={{ a: Link }}>
        {text}
      </ReactMarkdown>
    </div>
  );
});

function Link({ href, children }: { readonly href?: string | undefined; readonly children?: ReactNode }) {
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
