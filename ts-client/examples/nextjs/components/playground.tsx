"use client";

import { Chats } from "./chat/chats";
import { Compare } from "./compare";
import { PetForm } from "./form/pet-form";
import { Generate } from "./generate";
import { Tabs } from "./tabs";
import { useModels } from "./use-models";

export function Playground() {
  const { models, error } = useModels();
  return (
    <>
      <p role="status" className={error ? "notice" : "hidden"}>
        {error ? "The model server is not there. This page looks for it every few seconds." : ""}
      </p>
      <Tabs
        label="What to do"
        tabs={[
          { id: "chat", label: "Chat", panel: <Chats models={models} /> },
          { id: "form", label: "Form", panel: <PetForm models={models} /> },
          { id: "compare", label: "Compare versions", panel: <Compare models={models} /> },
          { id: "generate", label: "Generate", panel: <Generate models={models} /> },
        ]}
      />
    </>
  );
}
