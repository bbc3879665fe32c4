"use client";
import { Monitor, Moon, Sun } from "lucide-react";
import { useTheme } from "next-themes";
import { useSyncExternalStore } from "react";

const ORDER = { system: "light", light: "dark", dark: "system" } as const;
const FACES = { system: Monitor, light: Sun, dark: Moon };

const never = () => () => {};

/** System, light, dark, in turn. */
export function ThemeToggle() {
  const { theme, setTheme } = useTheme();
  // The server does not know what this browser chose.
  const mounted = useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
  const current = mounted && (theme === "light" || theme === "dark") ? theme : "system";
  const Face = FACES[current];
  return (
    <button
      type="button"
      onClick={() => setTheme(ORDER[current])}
      aria-label={`Theme: ${current}. Change to ${ORDER[current]}`}
      title={`Theme: ${current}`}
      className="grid size-8 place-items-center rounded-md text-ink-2 hover:bg-sunken hover:text-ink max-md:size-10"
    >
      <Face size={16} aria-hidden="true" />
    </button>
  );
}
