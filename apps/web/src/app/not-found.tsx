import Link from "next/link";

export default function NotFound() {
  return (
    <main className="mx-auto max-w-md px-6 py-24">
      <h1 className="text-xl font-[620]">There is nothing here</h1>
      <p className="mt-2 text-ink-2">The address may be wrong, or what it named may be gone.</p>
      <p className="mt-6">
        <Link href="/" className="text-accent hover:underline">
          Go to the overview
        </Link>
      </p>
    </main>
  );
}
