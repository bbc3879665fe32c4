import { type ComponentProps, type ReactNode, useId } from "react";
import { cn } from "./cn.ts";

const BOX =
  "w-full rounded-md border border-line-strong bg-surface px-2.5 text-ink placeholder:text-ink-3 aria-invalid:border-critical max-md:text-[16px]";

type Shared = { label: ReactNode; hint?: ReactNode; error?: string };

function Around({ id, label, hint, error, children }: Shared & { id: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="mb-1 block text-sm font-[550]">
        {label}
      </label>
      {children}
      {hint && (
        <p id={`${id}-hint`} className="mt-1 text-xs text-ink-3">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} role="alert" className="mt-1 text-xs text-critical">
          {error}
        </p>
      )}
    </div>
  );
}

const described = (id: string, { hint, error }: Shared) => ({
  id,
  "aria-invalid": error ? true : undefined,
  "aria-describedby": cn(hint ? `${id}-hint` : "", error ? `${id}-error` : "") || undefined,
});

export function TextField({ label, hint, error, className, ...rest }: Shared & Omit<ComponentProps<"input">, "id">) {
  const id = useId();
  return (
    <Around id={id} label={label} hint={hint} error={error}>
      <input {...rest} {...described(id, { label, hint, error })} className={cn(BOX, "h-9 max-md:h-11", className)} />
    </Around>
  );
}

export function TextArea({ label, hint, error, className, ...rest }: Shared & Omit<ComponentProps<"textarea">, "id">) {
  const id = useId();
  return (
    <Around id={id} label={label} hint={hint} error={error}>
      <textarea {...rest} {...described(id, { label, hint, error })} className={cn(BOX, "py-2", className)} />
    </Around>
  );
}

export function SelectField({
  label,
  hint,
  error,
  className,
  children,
  ...rest
}: Shared & Omit<ComponentProps<"select">, "id">) {
  const id = useId();
  return (
    <Around id={id} label={label} hint={hint} error={error}>
      <select {...rest} {...described(id, { label, hint, error })} className={cn(BOX, "h-9 max-md:h-11", className)}>
        {children}
      </select>
    </Around>
  );
}

/** A few choices side by side. */
export function Segmented<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset className="inline-flex rounded-md border border-line p-0.5 text-xs">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className={cn(
            "rounded-[4px] px-2 py-0.5 text-ink-2 has-focus-visible:outline-2 has-focus-visible:outline-accent max-md:px-3 max-md:py-1.5",
            option.value === value && "bg-sunken font-[550] text-ink",
          )}
        >
          <input
            type="radio"
            name={name}
            className="sr-only"
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          {option.label}
        </label>
      ))}
    </fieldset>
  );
}
