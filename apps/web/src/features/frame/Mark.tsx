/** The brand's logo, or a plain square in its colour. */
export const Mark = ({ brand, size = 22 }: { brand: { name: string; logoUrl: string | null }; size?: number }) =>
  brand.logoUrl ? (
    // biome-ignore lint/performance/noImgElement: a logo from the brand's own address, already small
    <img
      src={brand.logoUrl}
      alt={brand.name}
      width={size}
      height={size}
      className="shrink-0 rounded-[5px] object-contain"
    />
  ) : (
    <span aria-hidden="true" className="shrink-0 rounded-[5px] bg-accent" style={{ width: size, height: size }} />
  );
