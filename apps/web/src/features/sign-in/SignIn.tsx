import { Mark } from "../frame/Mark.tsx";
import { SignInForm } from "./SignInForm.tsx";

type Brand = { name: string; logoUrl: string | null; supportEmail: string };

/** A brand's front door: its mark, its name, its people to ask. */
export const SignIn = ({ brand, next }: { brand: Brand; next: string }) => (
  <main className="grid min-h-dvh place-items-center px-4 py-12">
    <div className="w-full max-w-[360px]">
      <div className="mb-8 flex items-center gap-3">
        <Mark brand={brand} size={32} />
        <span className="text-lg font-[620]">{brand.name}</span>
      </div>
      <h1 className="mb-5 text-xl font-[620] tracking-[-0.012em]">Sign in</h1>
      <SignInForm next={next} />
      <p className="mt-8 border-t border-line pt-4 text-sm text-ink-2">
        No access, or locked out?{" "}
        <a href={`mailto:${brand.supportEmail}`} className="text-accent underline underline-offset-2">
          {brand.supportEmail}
        </a>
      </p>
    </div>
  </main>
);
