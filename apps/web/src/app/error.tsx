"use client";
import { Button } from "../ui/Button.tsx";

export default function Broken({ reset }: { error: Error; reset: () => void }) {
  return (
    <main className="mx-auto max-w-md px-6 py-24">
      <h1 className="text-xl font-[620]">This page broke</h1>
      <p className="mt-2 text-ink-2">The nodes go on protecting by themselves; only what you see here is affected.</p>
      <Button className="mt-6" onClick={reset}>
        Try again
      </Button>
    </main>
  );
}
